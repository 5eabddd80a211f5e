// SPDX-License-Identifier: Apache-2.0
#include "vss-shim/freezer.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/text.h"
#include "vss-shim/stack.h"

static void set_result(struct frozen_fs *fs, enum fs_result r, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void set_result(struct frozen_fs *fs, enum fs_result r, const char *fmt, ...)
{
	va_list args;

	if (fs->result == FS_RESULT_FAILED)
		return;
	fs->result = r;
	va_start(args, fmt);
	text_vformat(fs->text, sizeof(fs->text), fmt, args);
	va_end(args);
}

int freezer_init(struct freezer *f, const struct fs_ops *ops, struct ledger *l, struct err *e)
{
	memset(f, 0, sizeof(*f));
	f->ops = ops;
	f->ledger = l;
	f->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return f->done < 0 ? err_errno(e, -errno, "cannot make an event descriptor") : 0;
}

/* --- which ------------------------------------------------------------------------------------ */

static int add(struct freezer *f, const struct mounted *m, struct err *e)
{
	struct frozen_fs *fs = &f->fs[f->count];

	if (f->count == LEDGER_FS_MAX)
		return err_set(e, -E2BIG, "there are more than %d filesystems", LEDGER_FS_MAX);
	*fs = (struct frozen_fs){.dev = m->dev, .fd = -1};
	f->count++;
	fs->point = strdup(m->point);
	fs->type = strdup(m->type);
	if (!fs->point || !fs->type)
		return err_set(e, -ENOMEM, "out of memory");
	fs->fd = mounted_open(m);
	if (fs->fd < 0)
		set_result(fs, FS_RESULT_FAILED, "it cannot be opened: %s", strerror(-fs->fd));
	return 0;
}

int freezer_take(struct freezer *f, const struct mounts *m, const struct order *o, struct err *e)
{
	int r = 0;

	freezer_empty(f);
	for (size_t i = m->count; !r && i > 0; i--) {
		const struct mounted *fs = &m->fs[i - 1];

		if (fs->read_only || !mounted_on_block(fs) ||
		    (o->named && !stack_on(fs, o->disk, o->disk_count)))
			continue;
		r = add(f, fs, e);
	}
	return r;
}

int freezer_select(struct freezer *f, const struct order *o, struct err *e)
{
	struct mounts m;
	int r = mounts_read(&m, e);

	if (r)
		return r;
	r = freezer_take(f, &m, o, e);
	mounts_clear(&m);
	return r;
}

/* --- the thread ------------------------------------------------------------------------------- */

static void sync_one(struct freezer *f, struct frozen_fs *fs)
{
	int r = fs->fd < 0 ? 0 : f->ops->sync(fs->fd);

	if (r)
		set_result(fs, FS_RESULT_FAILED, "it cannot be written back: %s", strerror(-r));
}

/*
 * What held applications gave to a filesystem of another kind is on disk once it was synced, and they
 * change nothing until the thaw. A sync of ZFS need not write anything (its property sync=disabled).
 */
static bool sync_suffices(const struct frozen_fs *fs)
{
	return strcmp(fs->type, "zfs") != 0;
}

static void judge_freeze(struct frozen_fs *fs, int r)
{
	if (r == -EBUSY)
		set_result(fs, FS_RESULT_FAILED,
			   "it is frozen already, by somebody else, who may thaw it at any time");
	else if ((r == -EOPNOTSUPP || r == -ENOTTY) && sync_suffices(fs))
		set_result(fs, FS_RESULT_SKIPPED, "%s cannot be frozen; it was synced", fs->type);
	else if (r == -EOPNOTSUPP || r == -ENOTTY)
		set_result(
			fs, FS_RESULT_FAILED,
			"%s cannot be frozen, and a sync is no promise of it: keep what has to be "
			"consistent on ext4, xfs or btrfs",
			fs->type);
	else if (r == -EROFS)
		set_result(fs, FS_RESULT_SKIPPED, "it has become read-only");
	else
		set_result(fs, FS_RESULT_FAILED, "it cannot be frozen: %s", strerror(-r));
}

/* One that is not thawed stays frozen in the ledger: the watchdog goes on with it, and the next shim. */
static void note_thaw(struct frozen_fs *fs, _Atomic int *state, int r)
{
	if (fs_thawed(r))
		atomic_store(state, FS_THAWED);
	else
		set_result(fs, FS_RESULT_FAILED,
			   "it cannot be thawed (%s), and is tried again: if it stays so, run "
			   "'fsfreeze --unfreeze %s'",
			   strerror(-r), fs->point);
}

static void freeze_one(struct freezer *f, struct frozen_fs *fs, _Atomic int *state)
{
	uint64_t began = clock_monotonic_ns();
	int freezing = FS_FREEZING, r;

	if (fs->fd < 0)
		return;
	atomic_store(state, FS_FREEZING);
	r = f->ops->freeze(fs->fd);
	fs->freeze_us = (clock_monotonic_ns() - began) / 1000;
	if (r) {
		atomic_store(state, FS_IDLE);
		judge_freeze(fs, r);
		return;
	}
	fs->frozen_ns = clock_monotonic_ns();
	if (atomic_compare_exchange_strong(state, &freezing, FS_FROZEN))
		return;
	/* The watchdog has settled it, perhaps before there was something to thaw. */
	atomic_store(state, FS_FROZEN);
	note_thaw(fs, state, f->ops->thaw(fs->fd));
	set_result(fs, FS_RESULT_FAILED, "its freeze took longer than the window");
}

/* The set was given up while the kernel was freezing it. */
static void undo_one(struct freezer *f, struct frozen_fs *fs, _Atomic int *state)
{
	if (atomic_load(state) != FS_FROZEN || atomic_exchange(&fs->thawing, true))
		return;
	note_thaw(fs, state, f->ops->thaw(fs->fd));
	set_result(fs, FS_RESULT_FAILED, "its freeze took longer than the window");
}

static void end_thread(struct freezer *f)
{
	uint64_t one = 1;

	atomic_store(&f->ended, true);
	if (write(f->done, &one, sizeof(one)) < 0)
		return; /* it is readable already */
}

static void *sync_main(void *arg)
{
	struct freezer *f = arg;

	for (size_t i = 0; i < f->count && !atomic_load(&f->cancel); i++)
		sync_one(f, &f->fs[i]);
	end_thread(f);
	return NULL;
}

static void *freeze_main(void *arg)
{
	struct freezer *f = arg;

	/* The less is left to be written back in the freeze, the shorter it is. */
	for (size_t i = 0; i < f->count && !atomic_load(&f->cancel); i++)
		sync_one(f, &f->fs[i]);
	for (size_t i = 0; i < f->count && !atomic_load(&f->cancel); i++)
		freeze_one(f, &f->fs[i], &f->ledger->fs[i].state);
	for (size_t i = 0; atomic_load(&f->cancel) && i < f->count; i++)
		undo_one(f, &f->fs[i], &f->ledger->fs[i].state);
	end_thread(f);
	return NULL;
}

static int start(struct freezer *f, void *(*main)(void *), struct err *e)
{
	uint64_t count;
	sigset_t all, old;
	int r;

	if (freezer_busy(f))
		return err_set(e, -EBUSY, "a filesystem is still being written back or frozen");
	atomic_store(&f->cancel, false);
	atomic_store(&f->ended, false);
	if (read(f->done, &count, sizeof(count)) < 0)
		count = 0; /* nothing was in it */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	r = -pthread_create(&f->thread, NULL, main, f);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	f->started = !r;
	return r ? err_errno(e, r, "cannot start a thread") : 0;
}

int freezer_sync(struct freezer *f, struct err *e)
{
	return start(f, sync_main, e);
}

int freezer_freeze(struct freezer *f, struct err *e)
{
	return start(f, freeze_main, e);
}

bool freezer_busy(struct freezer *f)
{
	if (f->started && atomic_load(&f->ended)) {
		pthread_join(f->thread, NULL);
		f->started = false;
	}
	return f->started;
}

/* --- thaw ------------------------------------------------------------------------------------- */

static void thaw_one(struct freezer *f, struct frozen_fs *fs, _Atomic int *state)
{
	int is = atomic_load(state), r;

	if ((is != FS_THAWED && is != FS_FROZEN) || atomic_exchange(&fs->thawing, true))
		return;
	if (is == FS_THAWED) {
		set_result(fs, FS_RESULT_FAILED, "the watchdog thawed it: the window was over");
		return;
	}
	r = f->ops->thaw(fs->fd);
	fs->held_us = (clock_monotonic_ns() - fs->frozen_ns) / 1000;
	note_thaw(fs, state, r);
	if (r)
		set_result(fs, FS_RESULT_FAILED,
			   atomic_load(&f->ledger->fired)
				   ? "the watchdog thawed it: the window was over"
				   : "somebody else thawed it before the end");
}

void freezer_thaw(struct freezer *f)
{
	atomic_store(&f->cancel, true);
	for (size_t i = f->count; i > 0; i--)
		thaw_one(f, &f->fs[i - 1], &f->ledger->fs[i - 1].state);
}

void freezer_empty(struct freezer *f)
{
	for (size_t i = 0; i < f->count; i++) {
		if (f->fs[i].fd >= 0)
			close(f->fs[i].fd);
		free(f->fs[i].point);
		free(f->fs[i].type);
	}
	f->count = 0;
}

void freezer_destroy(struct freezer *f)
{
	if (f->started)
		pthread_join(f->thread, NULL);
	f->started = false;
	freezer_empty(f);
	if (f->done >= 0)
		close(f->done);
	f->done = -1;
}
