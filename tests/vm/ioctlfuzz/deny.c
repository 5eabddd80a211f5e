// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

#define NOBODY 65534
#define CALLS 4000

static const char device[] = "/dev/" MOB_DEVICE_NAME;

static void become_nobody(void)
{
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		broken("cannot become nobody: %s", strerror(errno));
}

/* Root in a namespace of its own has every capability, but none that counts here. */
static void become_namespace_root(void)
{
	if (unshare(CLONE_NEWUSER))
		broken("no user namespace: %s", strerror(errno));
}

static void expect_closed(int error)
{
	int fd = open(device, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		broken("%s opens without privileges", device);
	if (errno != error)
		broken("%s: %s, expected %s", device, strerror(errno), strerror(error));
}

/* In a child that has inherited the descriptors of all kinds. */
static void deny_as(void (*become)(void), int open_error, uint64_t seed, struct fuzz *f)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		broken("fork: %s", strerror(errno));
	if (pid == 0) {
		become();
		expect_closed(open_error);
		settings.denied = true;
		f->random = seed;
		f->fail_nth = -1;
		for (int i = 0; i < CALLS; i++) {
			if (one_in(f, 3))
				op_one(f);
			else
				call_one(f);
		}
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		broken("see the sentence before");
}

uint64_t deny_all(struct fuzz *f, uint64_t seed)
{
	deny_as(become_nobody, EACCES, seed, f);
	if (chmod(device, 0666))
		broken("chmod: %s", strerror(errno));
	deny_as(become_nobody, EPERM, seed + 1, f);
	deny_as(become_namespace_root, EPERM, seed + 2, f);
	if (chmod(device, 0600))
		broken("chmod: %s", strerror(errno));
	return 3 * CALLS;
}
