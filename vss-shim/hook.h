/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The adapter that makes a hook of another product a writer: a process of its own, which speaks as
 * mobility-writers(7) says and runs the hook for freeze and thaw. A hook that was started for
 * the freeze is run for the thaw whatever happens: at the end of the window, at the end of file, at
 * SIGTERM.
 */
#ifndef VSS_SHIM_HOOK_H
#define VSS_SHIM_HOOK_H

/* argv: KIND FREEZE THAW identify|session; "-" for a program that is not there. The exit status. */
int hook_main(int argc, char **argv);

#endif
