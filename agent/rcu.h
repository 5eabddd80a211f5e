/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read-copy-update for the few read-mostly tables of the agent, over liburcu (memb flavour), in
 * the form that ThreadSanitizer understands: it cannot see the ordering that membarrier() gives,
 * so the pairs are told to it.
 *
 *	who			call				may sleep
 *	readers			agent_rcu_lock/unlock		no: brief mutexes and ioctls only
 *	the one updater		agent_rcu_publish, then
 *				agent_rcu_wait before freeing	yes; never inside a read section
 *	every reading thread	urcu_memb_register_thread at its start, _unregister_ at its end
 */
#ifndef MOBILITY_AGENT_RCU_H
#define MOBILITY_AGENT_RCU_H

#include <urcu/urcu-memb.h>

#if defined(__SANITIZE_THREAD__)
#define AGENT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define AGENT_TSAN 1
#endif
#endif

#ifdef AGENT_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
extern char agent_rcu_tag;
#define AGENT_TSAN_ACQUIRE() __tsan_acquire(&agent_rcu_tag)
#define AGENT_TSAN_RELEASE() __tsan_release(&agent_rcu_tag)
#else
#define AGENT_TSAN_ACQUIRE() ((void)0)
#define AGENT_TSAN_RELEASE() ((void)0)
#endif

static inline void agent_rcu_lock(void)
{
	urcu_memb_read_lock();
}

static inline void agent_rcu_unlock(void)
{
	AGENT_TSAN_RELEASE();
	urcu_memb_read_unlock();
}

/* Release pairs with acquire: who sees the pointer sees what it points to. */
#define agent_rcu_publish(p, v) __atomic_store_n(&(p), (v), __ATOMIC_RELEASE)
#define agent_rcu_read(p) __atomic_load_n(&(p), __ATOMIC_ACQUIRE)

/* Waits until every read section that began before has ended. */
static inline void agent_rcu_wait(void)
{
	urcu_memb_synchronize_rcu();
	AGENT_TSAN_ACQUIRE();
}

#endif
