/* SPDX-License-Identifier: Apache-2.0
 *
 * The ring's protocol (../../PROTOCOL.md), for Spin, on a machine that reorders stores and loads as far as the fences let it.
 * One writer that may die at any step and be succeeded, one reader that may be lapped. Positions count slots, each record takes one.
 *
 * check.py proves this model, then takes each of these away (-DNO_B ...) and demands that the proof fails:
 *
 *   B  writer: release fence between tail_intent and the payload
 *   C  writer: release order of the tail store (payload first)
 *   G  writer: release order of the index store (tail first)
 *   D  reader: acquire order of the tail load (payload after it)
 *   E  reader: acquire fence between the copy and the second look at tail_intent
 *   H  reader: acquire order of the index load (tail after it)
 *   R  restart: padding over what the dead writer may have scribbled on (no fence, but as needed)
 */
#define SLOTS 6      /* capacity */
#define GRANULE 2
#define ENTRIES 3    /* SLOTS / GRANULE */
#define BATCH 2
#ifndef END
#define END 8        /* the writer stops here */
#endif
#ifndef DEATHS
#define DEATHS 1
#endif

#define PAD 200      /* padding record */
#define EMPTY 0      /* index entry without a record; others hold position + 1 */

#define INTENT 0     /* addresses of shared words */
#define TAIL 1
#define DATA 2
#define INDEX 8      /* DATA + SLOTS */
#define WORDS 11
#define FENCE 99     /* in the store buffer: later stores wait for earlier ones */
#define BUFFER 6

/* What must have been loaded before the next load, as far as the fences say so. */
#ifdef NO_D
#define AFTER_TAIL true
#else
#define AFTER_TAIL got_tail
#endif
#ifdef NO_E
#define AFTER_COPY got_tail
#else
#define AFTER_COPY (got_copy0 && got_copy1 && got_tail)
#endif
#ifdef NO_H
#define AFTER_INDEX true
#else
#define AFTER_INDEX (entry != EMPTY)
#endif

byte memory[WORDS];         /* what everybody sees */
byte pending_address[BUFFER];
byte pending_value[BUFFER]; /* stores that the writer made and nobody sees yet */
byte pending = 0;

byte truth[16];             /* ghost: what stands at each position, for the assertions */
byte deaths = 0;
bool writer_done = false;

inline store(address, value)
{
	atomic { pending < BUFFER -> pending_address[pending] = address; pending_value[pending] = value; pending++ }
}

inline fence()
{
	atomic {
		if
		:: pending > 0 && pending < BUFFER -> pending_address[pending] = FENCE; pending++
		:: pending == 0
		fi
	}
}

/* Makes stores visible in any order that the fences and the order of stores to one word allow. */
active proctype memory_system()
{
	byte chosen, other;
	bool allowed;
end:	do
	:: atomic {
		pending > 0 ->
		chosen = 0;
		do
		:: chosen + 1 < pending -> chosen++
		:: break
		od;
		allowed = true;
		other = 0;
		do
		:: other < chosen ->
			if
			:: pending_address[other] == FENCE || pending_address[chosen] == FENCE ||
			   pending_address[other] == pending_address[chosen] -> allowed = false
			:: else
			fi;
			other++
		:: else -> break
		od;
		if
		:: allowed ->
			if
			:: pending_address[chosen] != FENCE -> memory[pending_address[chosen]] = pending_value[chosen]
			:: else
			fi;
			other = chosen;
			do
			:: other + 1 < pending ->
				pending_address[other] = pending_address[other + 1];
				pending_value[other] = pending_value[other + 1];
				other++
			:: else -> break
			od;
			pending--;
			pending_address[pending] = 0;
			pending_value[pending] = 0
		:: else
		fi;
		chosen = 0; other = 0; allowed = false
	   }
	od
}

/* A process may be killed between any two stores; what it had stored becomes visible all the same. */
inline may_die()
{
	if
	:: deaths < DEATHS -> deaths++; goto dead
	:: true
	fi
}

active proctype writer()
{
	byte tail = 0, sequence = 1, span, filled, entry, at, intent;
	bool entered[END];

alive:	do
	:: tail < END ->
		if
		:: span = 1
		:: tail + BATCH <= END -> span = BATCH
		fi;
		/* tail_intent first, so that a reader of the bytes below learns that they go */
		store(INTENT, tail + span);
		may_die();
#ifndef NO_B
		fence();
#endif
		filled = 0;
		do
		:: filled < span ->
			d_step { truth[tail + filled] = sequence + filled }
			store(DATA + (tail + filled) % SLOTS, sequence + filled);
			filled++;
			may_die()
		:: else -> break
		od;
#ifndef NO_C
		fence();
#endif
		store(TAIL, tail + span);
		may_die();
		filled = 0;
		do
		:: filled < span ->
			if
			:: !entered[(tail + filled) / GRANULE] ->
#ifndef NO_G
				fence();
#endif
				store(INDEX + ((tail + filled) / GRANULE) % ENTRIES, tail + filled + 1);
				entered[(tail + filled) / GRANULE] = true;
				may_die()
			:: else
			fi;
			filled++
		:: else -> break
		od;
		tail = tail + span;
		sequence = sequence + span;
		span = 0; filled = 0
	:: else -> break
	od;
	goto finished;

dead:	/* the successor: the lock and the kernel have let every store through */
	pending == 0;
	atomic {
		tail = memory[TAIL];
		intent = memory[INTENT];
		assert(tail <= intent && intent <= tail + BATCH);
		/* last entry below tail whose record is intact; then walk */
		sequence = 1;
		at = 0;
		entry = 0;
		do
		:: entry < ENTRIES ->
			if
			:: memory[INDEX + entry] > at + 1 && memory[INDEX + entry] <= tail &&
			   memory[INDEX + entry] + SLOTS > intent ->
				at = memory[INDEX + entry] - 1
			:: else
			fi;
			entry++
		:: else -> break
		od;
		assert(intent <= SLOTS || at > 0); /* else the sequence would have to be guessed */
		do
		:: at < tail ->
			if
			:: memory[DATA + at % SLOTS] != PAD ->
				sequence = memory[DATA + at % SLOTS] + 1;
				if
				:: memory[INDEX + (at / GRANULE) % ENTRIES] == EMPTY ||
				   (memory[INDEX + (at / GRANULE) % ENTRIES] - 1) / GRANULE != at / GRANULE ->
					memory[INDEX + (at / GRANULE) % ENTRIES] = at + 1;
					entered[at / GRANULE] = true
				:: else
				fi
			:: else
			fi;
			at++
		:: else -> break
		od;
		/* every sequence below is published exactly once */
		filled = 0; at = 0;
		do
		:: at < tail ->
			if
			:: truth[at] != PAD -> filled++
			:: else
			fi;
			at++
		:: else -> break
		od;
		assert(sequence == filled + 1);
		filled = 0; at = 0; entry = 0; span = 0
	}
#ifndef NO_R
	do
	:: tail + filled < intent ->
		d_step { truth[tail + filled] = PAD }
		store(DATA + (tail + filled) % SLOTS, PAD);
		filled++
	:: else -> break
	od;
#else
	do
	:: tail + filled < intent -> truth[tail + filled] = PAD; filled++
	:: else -> break
	od;
#endif
	filled = 0;
#ifndef NO_C
	fence();
#endif
	store(TAIL, intent);
	tail = intent;
	intent = 0;
	goto alive;

finished:
	pending == 0;
	writer_done = true
}

/* The loads of one look at the ring, in any order that the reader's fences allow. */
active proctype reader()
{
	byte position = 0, expected = 1, tail, intent, copy0, copy1, count, entry;
	bool got_tail, got_copy0, got_copy1, got_intent, resumed;

	do
	:: position < END ->
		do
		:: !got_tail -> d_step { tail = memory[TAIL]; got_tail = true }
		:: !got_copy0 && AFTER_TAIL -> d_step { copy0 = memory[DATA + position % SLOTS]; got_copy0 = true }
		:: !got_copy1 && AFTER_TAIL -> d_step { copy1 = memory[DATA + (position + 1) % SLOTS]; got_copy1 = true }
		:: !got_intent && AFTER_COPY -> d_step { intent = memory[INTENT]; got_intent = true }
		:: got_tail && got_copy0 && got_copy1 && got_intent -> break
		od;
		if
		:: intent > position + SLOTS ->
			/* lapped: the whole chunk is worth nothing; go on at an indexed record that is still there */
			d_step { got_tail = false; entry = EMPTY }
			do
			:: entry == EMPTY ->
				if
				:: entry == EMPTY && memory[INDEX] > position + 1 -> entry = memory[INDEX]
				:: entry == EMPTY && memory[INDEX + 1] > position + 1 -> entry = memory[INDEX + 1]
				:: entry == EMPTY && memory[INDEX + 2] > position + 1 -> entry = memory[INDEX + 2]
				fi
			:: !got_tail && AFTER_INDEX -> d_step { tail = memory[TAIL]; got_tail = true }
			:: entry != EMPTY && got_tail -> break
			od;
			assert(entry <= tail); /* an index entry names a published record */
			position = entry - 1;
			resumed = true
		:: else ->
			d_step {
				count = 0;
				if
				:: tail > position -> count = 1
				:: else
				fi;
				if
				:: tail > position + 1 -> count = 2
				:: else
				fi;
				if
				:: count >= 1 -> assert(copy0 == truth[position])
				:: else
				fi;
				if
				:: count == 2 -> assert(copy1 == truth[position + 1])
				:: else
				fi;
				if
				:: count >= 1 && copy0 != PAD ->
					assert(copy0 == expected || (resumed && copy0 > expected)); /* the difference is what was lost */
					expected = copy0 + 1; resumed = false
				:: else
				fi;
				if
				:: count == 2 && copy1 != PAD ->
					assert(copy1 == expected || (resumed && copy1 > expected));
					expected = copy1 + 1; resumed = false
				:: else
				fi;
				position = position + count
			}
		fi;
		d_step { got_tail = false; got_copy0 = false; got_copy1 = false; got_intent = false;
			 tail = 0; copy0 = 0; copy1 = 0; intent = 0; count = 0; entry = 0 }
	:: else -> break
	od
}
