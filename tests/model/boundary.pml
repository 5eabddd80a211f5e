/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol of the kernel module: mark, boundary, preserve, seal, drain, commit, close. WRITERS
 * writers, each with WRITES writes to any of two granules on two disks (four places); EPOCHS epochs.
 *
 * A place's content is the number of writes that have landed on it. I2 speaks of a pair of writes: any
 * one completed write may be picked as the cause, any one that was submitted later as its effect. Because
 * the search tries every choice, one pair at a time is enough.
 *
 * Properties (assertions; deadlock by spin's own check of invalid end states):
 *	I1  after the last epoch the replica is what is on disk, aborted epochs or not;
 *	I2  a replica of an epoch that was not torn, and that holds the effect, holds the cause; and a
 *	    cause that had completed at the boundary is there;
 *	    nobody waits for ever: every process ends.
 *
 * IMPATIENT: a held write need not wait for the end of the closing window; it preserves what it overwrites then, dirty or
 * not. That multiplies the states, so that two places must do for it in everyday's check.
 *
 * WIDE: of three places, writes go to the first two at once, or to the third.
 *
 * Each BUG_* switch puts in one mistake that such drivers have made; each must be found.
 */

#ifdef BUG_LOOKS_TWICE
#define WIDE
#endif
#ifdef WIDE
#define PLACES 3
#endif
#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef WRITES
#define WRITES 2
#endif
#ifndef EPOCHS
#define EPOCHS 3
#endif
#ifndef PLACES
#define PLACES 4		/* disk * 2 + granule */
#endif
#define SLOT(e) ((e) % 2)
#define BIT(s, p) ((s) * PLACES + (p))

byte epoch;			/* the global counter */
#ifdef BUG_TWO_INSTANTS
byte disk_epoch[2];
#define EPOCH_OF(p) disk_epoch[(p) / 2]
#else
#define EPOCH_OF(p) epoch
#endif

bool pending;			/* an epoch is closing or sealed, not committed */
bool window;			/* the closing window is open */
byte sealing;			/* number of the pending epoch */
bool torn;
byte in_flight[2];		/* by slot */
bool section[WRITERS];		/* interrupts are off: reading the epoch, marking */
bool dirty[8];			/* BIT(slot, place) */
bool safe[PLACES];		/* needs no preserving: read, or its copy is visible */
bool has_copy[PLACES];
byte copy[PLACES];

byte disk[PLACES];
byte cause, cause_at;		/* landing and place of the picked cause; 0: none yet */
byte effect, effect_at;		/* the same of its effect */
bool picked;			/* the effect has been submitted */
bool must;			/* the cause had completed at the boundary */
byte stage[PLACES];		/* what was drained, not committed */
bool staged[PLACES];
byte replica[PLACES];
byte finished;			/* writers that are through */

inline need_preserving(p, e, need) {
	/* Only the epoch right after the pending one overwrites what the drain may still read. */
	need = pending && e == sealing + 1 && (all || dirty[BIT(SLOT(sealing), p)]) && !safe[p]
}

inline insert_copy(p, e, v) {
	/* The copy's lock: nothing is inserted for an epoch that is over, or over a first copy. */
	atomic {
		if
		:: pending && e == sealing + 1 && !safe[p] && !has_copy[p] ->
			has_copy[p] = true;
			copy[p] = v;
			safe[p] = true
		:: else
		fi
	}
}

inline preserve(q) {
	need_preserving(q, e, need);
#ifdef BUG_LOOKS_TWICE
	if			/* found; then the run that begins with it is measured */
	:: need ->
		need_preserving(q, e, need);
		given_up = !need
	:: else
	fi;
#endif
	if
	:: need ->
		old = disk[q];
		if
		:: insert_copy(q, e, old)
#ifdef POOL_FULL
		:: torn = true
#endif
		fi
	:: else
	fi
}

inline land(p, n, is_effect) {
	d_step {
		disk[p]++;
		n = disk[p];
		if
		:: is_effect -> effect = n; effect_at = p
		:: else
		fi
	}
}

proctype writer(byte me) {
	byte left = WRITES, p, e, old, n;
	bool need, is_effect, all, given_up;

	do
	:: left > 0 ->
		left--;
		atomic {		/* submission */
			if
			:: p = 0
#ifndef WIDE
			:: p = 1
#endif
#if PLACES > 2
			:: p = 2
#endif
#if PLACES > 3
			:: p = 3
#endif
			fi;
			if
			:: cause && !picked -> picked = true; is_effect = true
			:: true
			fi
		}
		atomic {
			section[me] = true;
			e = EPOCH_OF(p)
		}
#ifndef BUG_MARK_AT_SUBMISSION_ONLY
		in_flight[SLOT(e)]++;
#endif
		atomic {
			dirty[BIT(SLOT(e), p)] = true;
#ifdef WIDE
			dirty[BIT(SLOT(e), (p == 0 -> 1 : p))] = true;
#endif
			section[me] = false
		}

#ifndef BUG_TRUST_CLEAR_BIT
		if			/* held while the window is open, */
		:: pending && e == sealing + 1 ->
			if
			:: !window
#ifdef BUG_IMPATIENT_TRUSTS_BITS
			:: window
#elif defined(IMPATIENT)
			:: window -> all = true	/* or for so long as it has patience: then it trusts no bit */
#endif
			fi
		:: else
		fi;
#endif
#ifdef BUG_COPY_AFTER_OVERWRITE
		need_preserving(p, e, need);
		old = disk[p];
		land(p, n, is_effect);
		if
		:: need -> insert_copy(p, e, old)
		:: else
		fi;
#else
		preserve(p);
#ifdef WIDE
		if
		:: p == 0 ->
			if
			:: !given_up -> preserve(1)
			:: else
			fi;
			land(0, n, false);
			p = 1
		:: else
		fi;
#endif
		land(p, n, is_effect);
#endif
		atomic {		/* completion */
			if
			:: !cause -> cause = n; cause_at = p
			:: true
			fi;
#ifndef BUG_MARK_AT_SUBMISSION_ONLY
			in_flight[SLOT(e)]--;
#endif
			n = 0; old = 0; e = 0; p = 0; need = false; is_effect = false; all = false; given_up = false
		}
	:: left == 0 -> break
	od;
	finished++
}

inline check_image() {
	assert(torn || !must || replica[cause_at] >= cause);
	assert(torn || !effect || replica[effect_at] < effect || replica[cause_at] >= cause)
}

inline boundary() {
	/* One store names the pending epoch, so that no preserver takes it for the one before. */
#ifdef BUG_PENDING_BEFORE_ITS_NAME
	pending = true;
	sealing = epoch;
#else
	d_step {
		pending = true;
		sealing = epoch
	}
#endif
	window = true;
	/* One store publishes the epoch for all disks. */
	d_step {
		must = cause > 0;
		epoch++
	}
#ifdef BUG_TWO_INSTANTS
	/* Harmless inside one window, which holds the new epoch's writers: so one window for each disk. */
	disk_epoch[0]++;
	window = false;
	disk_epoch[1]++;
#endif
	/* The inter-processor call: each CPU was once seen outside the section. */
	do
	:: atomic { w < WRITERS && !section[w] -> w++ }
	:: atomic { w == WRITERS -> w = 0; break }
	od;
	window = false;
#ifndef BUG_DRAIN_BEFORE_SEALED
	in_flight[SLOT(sealing)] == 0
#endif
}

inline drain() {
	p = 0;
	do
	:: atomic { p < PLACES && !dirty[BIT(SLOT(sealing), p)] -> p++ }
	:: p < PLACES && dirty[BIT(SLOT(sealing), p)] ->
#ifdef BUG_LOOK_FOR_COPY_FIRST
		had = has_copy[p];
#endif
		v = disk[p];
#ifndef BUG_LOOK_FOR_COPY_FIRST
		had = has_copy[p];
#endif
		atomic {
			if
			:: had -> v = copy[p]
			:: else
			fi;
			stage[p] = v;
			staged[p] = true;
			safe[p] = true;
			has_copy[p] = false;
			copy[p] = 0;
			v = 0;
			had = false;
			p++
		}
	:: else -> break
	od
}

inline forget_epoch(merge) {
	/* Writers have left their sections: the next boundary needs this slot empty. */
	d_step {
		p = 0;
		do
		:: p < PLACES ->
#ifndef BUG_CLOSE_DROPS_BITS
			if
			:: merge && dirty[BIT(SLOT(sealing), p)] -> dirty[BIT(SLOT(sealing + 1), p)] = true
			:: else
			fi;
#endif
			dirty[BIT(SLOT(sealing), p)] = false;
			safe[p] = false;
			has_copy[p] = false;
			copy[p] = 0;
			stage[p] = 0;
			staged[p] = false;
			p++
		:: else -> break
		od;
		p = 0;
		w = 0;
		must = false;
		torn = false;
		pending = false
	}
}

inline commit() {
	d_step {
		p = 0;
		do
		:: p < PLACES ->
			if
			:: staged[p] -> replica[p] = stage[p]
			:: else
			fi;
			p++
		:: else -> break
		od;
		p = 0
	}
	check_image();
	forget_epoch(false)
}

active proctype agent() {
	byte n = EPOCHS, w, p, v;
	bool had;

	atomic {
		w = 0;
		do
		:: w < WRITERS -> run writer(w); w++
		:: else -> break
		od;
		w = 0
	}
	do
	:: n > 1 ->
		n--;
		boundary();
		drain();
		if
		:: commit()
		:: forget_epoch(true)	/* closed without a commit */
		fi
	:: else -> break
	od;
	finished == WRITERS;		/* the last epoch, after the last write */
	boundary();
	drain();
	commit();
	assert(replica[0] == disk[0] && replica[1] == disk[1]);
#if PLACES > 2
	assert(replica[2] == disk[2]);
#endif
#if PLACES > 3
	assert(replica[3] == disk[3])
#endif
}
