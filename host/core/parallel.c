/* host/core/parallel.c - the pool: one region per running loop, workers that look for regions with a free seat.
 *
 * A REGION is a loop that is running. Its `state` counts the seats that workers may still take and the members that are at
 * work. A worker joins with one compare-and-swap that takes a seat and adds a member; the caller, when all pieces are handed
 * out, takes the seats away and waits for the members alone. Regions are static memory: a worker may look at one at any time,
 * and what it reads after it has joined belongs to the loop it has joined.
 *
 * WAITING. A worker that finds no seat watches `posted`, which every new region increments, for some microseconds: the loops of
 * a forward pass follow each other closely, and waking a sleeper takes as long as a small loop. Then it sleeps. Likewise the
 * caller that waits for the last members. Whoever has lost its core to another program, which the clocks tell, makes everybody
 * sleep at once for a while: a thread that burns its share of a busy processor by watching gets it late when there is work.
 * Each time that comes again at the end of such a while, the next one is twice as long.
 *
 * No lock is held while a piece runs. Only making workers takes one, and nobody waits for it but a fork.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/parallel.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "host/core/cpu_count.h"
#include "host/core/image.h"

/* Loops that may run at the same time; a caller that finds all taken runs alone. */
#define REGIONS 32
/* Threads of one loop: twice the processors of the machine, and 64 where that is less. More would only cost memory. */
#define THREADS_PER_PROCESSOR 2
#define THREADS_ALWAYS_ALLOWED 64
#define THREADS_MOST 16384 /* seats are counted in 16 bits */
/* Pieces per thread where the caller does not say: the last ones end about together, and taking one costs 50 ns. */
#define PIECES_PER_THREAD 4
/* Bodies need little; thread-local variables of the whole program lie there too. */
#define WORKER_STACK_BYTES ((size_t)1 << 20)

#define WATCH_NS INT64_C(100000)  /* between two loops of a pass lie 1 to 50 microseconds */
#define LOST_NS INT64_C(300000)   /* interrupts take tens of microseconds, another program's turn some milliseconds */
#define SAMPLE_NS INT64_C(500000) /* how often a thread looks for it, which takes half a microsecond */
#define SAMPLE_MOST_NS INT64_C(25000000)
#define QUIET_NS INT64_C(50000000) /* how long nobody watches after a core was lost: this, twice this, ... */
#define QUIET_MOST_NS INT64_C(1600000000)
#define RETRY_NS INT64_C(1000000000) /* after the system gave no thread */

/* ---- State ---- */

#define SEATS UINT32_C(0x0000FFFF) /* in a region's state: free seats */
#define MEMBER UINT32_C(0x00010000)
#define MEMBERS UINT32_C(0x7FFF0000)  /* workers in it */
#define SLEEPING UINT32_C(0x80000000) /* its caller sleeps until the last member leaves */

typedef struct region {
  _Alignas(64) _Atomic uint32_t state;
  atomic_bool is_taken;
  mo_parallel_body body;
  const void *job;
  int64_t count, grain, pieces;
  _Alignas(64) _Atomic int64_t next; /* piece */
} region;

static region regions[REGIONS];
static _Alignas(64) _Atomic uint32_t posted;
static _Alignas(64) _Atomic int32_t watching; /* workers that will see `posted` change without being woken */
static _Atomic int32_t sleeping;
static _Atomic int32_t open_seats; /* of all regions, as they were posted */
static _Atomic int32_t worker_count;
static _Atomic int32_t processor_count;
static _Atomic int64_t quiet_until, quiet_ns;
static int64_t retry_at; /* under the mutex */
static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t prepared = PTHREAD_ONCE_INIT;

/* True while the thread runs a body. */
static _Thread_local bool is_inside __attribute__((tls_model("initial-exec")));

/* ---- Sleeping and watching ---- */

static void sleep_while(_Atomic uint32_t *word, uint32_t value) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void wake(_Atomic uint32_t *word, int32_t count) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0); }

static int64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static bool is_quiet(int64_t now) { return now < atomic_load_explicit(&quiet_until, memory_order_relaxed); }

static void note_lost_core(int64_t now) {
  const int64_t until = atomic_load_explicit(&quiet_until, memory_order_relaxed);
  int64_t length = atomic_load_explicit(&quiet_ns, memory_order_relaxed);
  if (now < until) return;
  length = now - until > length ? QUIET_NS : length < QUIET_MOST_NS ? 2 * length : length;
  atomic_store_explicit(&quiet_ns, length, memory_order_relaxed);
  atomic_store_explicit(&quiet_until, now + length, memory_order_relaxed);
}

/* A thread's clocks and the times that it was taken off its core against its will, when last looked at. */
typedef struct core_sample {
  int64_t wall, running;
  int64_t switches;
} core_sample;

/* Initial-exec, also below: a worker must not need memory for it. */
static _Thread_local core_sample last_sample __attribute__((tls_model("initial-exec")));

/* Looks now and then whether the thread has lost its core since. In a long stretch it may have slept for reasons of its own. */
static void check_core(void) {
  core_sample *last = &last_sample;
  const int64_t now = now_ns(), wall = now - last->wall;
  struct rusage usage;
  if (wall < SAMPLE_NS || is_quiet(now) || getrusage(RUSAGE_THREAD, &usage) != 0) return;
  const struct timeval user = usage.ru_utime, system = usage.ru_stime;
  const int64_t running = ((int64_t)(user.tv_sec + system.tv_sec) * 1000000 + user.tv_usec + system.tv_usec) * 1000;
  const int64_t lost = wall - (running - last->running);
  if (wall < SAMPLE_MOST_NS && usage.ru_nivcsw != last->switches && lost > LOST_NS) note_lost_core(now);
  *last = (core_sample){.wall = now, .running = running, .switches = usage.ru_nivcsw};
}

static void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

/* Watches until (word & mask) != value; false if that took too long. */
static bool watch(const _Atomic uint32_t *word, uint32_t mask, uint32_t value) {
  const int64_t start = now_ns();
  /* With more threads than processors the one that is watched may need this one's. */
  if (atomic_load_explicit(&worker_count, memory_order_relaxed) >=
          atomic_load_explicit(&processor_count, memory_order_relaxed) ||
      is_quiet(start)) {
    return false;
  }
  for (int64_t last = start, now;; last = now) {
    for (int i = 0; i < 16; i++) {
      if ((atomic_load_explicit(word, memory_order_acquire) & mask) != value) return true;
      pause_briefly();
    }
    now = now_ns();
    if (now - last > LOST_NS) note_lost_core(now);
    if (now - start > WATCH_NS) return false;
  }
}

/* ---- Taking part ---- */

static void do_pieces(region *r, int32_t slot) {
  is_inside = true;
  for (;;) {
    const int64_t piece = atomic_fetch_add_explicit(&r->next, 1, memory_order_relaxed);
    if (piece >= r->pieces) break;
    const int64_t first = piece * r->grain;
    r->body(r->job, first, r->count - first < r->grain ? r->count : first + r->grain, slot);
  }
  is_inside = false;
}

/* Takes a seat if there is one. Seats are numbered from 1, the caller's slot is 0. */
static int32_t join(region *r) {
  uint32_t state = atomic_load_explicit(&r->state, memory_order_relaxed);
  while ((state & SEATS) != 0) {
    if (atomic_compare_exchange_weak_explicit(&r->state, &state, state - 1 + MEMBER, memory_order_acquire,
                                              memory_order_relaxed)) {
      return (int32_t)(state & SEATS);
    }
  }
  return 0;
}

static void leave(region *r) {
  const uint32_t before = atomic_fetch_sub_explicit(&r->state, MEMBER, memory_order_release);
  if ((before & SLEEPING) != 0 && (before & MEMBERS) == MEMBER) wake(&r->state, 1);
}

static bool serve(void) {
  bool found = false;
  for (int i = 0; i < REGIONS; i++) {
    const int32_t seat = join(&regions[i]);
    if (seat == 0) continue;
    do_pieces(&regions[i], seat);
    leave(&regions[i]);
    found = true;
  }
  return found;
}

static void *work(void *unused) {
  (void)unused;
  for (;;) {
    const uint32_t seen = atomic_load(&posted);
    if (serve()) continue;
    check_core();
    atomic_fetch_add(&watching, 1);
    const bool changed = watch(&posted, UINT32_MAX, seen);
    atomic_fetch_sub(&watching, 1);
    if (changed) continue;
    atomic_fetch_add(&sleeping, 1);
    sleep_while(&posted, seen); /* not at all if a region was posted since */
    atomic_fetch_sub(&sleeping, 1);
  }
  return NULL;
}

/* ---- Workers ---- */

static void before_fork(void) { pthread_mutex_lock(&starting); }
static void after_fork_in_parent(void) { pthread_mutex_unlock(&starting); }

/* Only the thread that forked lives on in the child: no worker, and no caller of a region. */
static void after_fork_in_child(void) {
  for (int i = 0; i < REGIONS; i++) {
    atomic_store(&regions[i].state, 0);
    atomic_store(&regions[i].is_taken, false);
  }
  atomic_store(&watching, 0);
  atomic_store(&sleeping, 0);
  atomic_store(&open_seats, 0);
  atomic_store(&worker_count, 0);
  retry_at = 0;
  pthread_mutex_unlock(&starting);
}

static void prepare(void) {
  atomic_store(&processor_count, mo_cpu_count());
  mo_image_pin(); /* workers run code of this image */
  (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static bool start_worker(const pthread_attr_t *attributes) {
  pthread_t thread;
  if (pthread_create(&thread, attributes, work, NULL) != 0) return false;
  (void)pthread_setname_np(thread, "modelout");
  atomic_fetch_add(&worker_count, 1);
  return true;
}

/* As many workers as `wanted`, or as the system gives. */
static void start_workers(int32_t wanted) {
  pthread_once(&prepared, prepare);
  pthread_attr_t attributes;
  sigset_t all, before;
  if (pthread_mutex_trylock(&starting) != 0) return; /* somebody else is at it: this loop goes without them */
  if (atomic_load(&worker_count) < wanted && now_ns() >= retry_at && pthread_attr_init(&attributes) == 0) {
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, WORKER_STACK_BYTES);
    sigfillset(&all); /* signals are for the program's own threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (atomic_load(&worker_count) < wanted) {
      if (start_worker(&attributes)) continue;
      retry_at = now_ns() + RETRY_NS;
      break;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
  }
  pthread_mutex_unlock(&starting);
}

/* ---- Loops ---- */

static region *take_region(void) {
  for (int i = 0; i < REGIONS; i++) {
    if (!atomic_load_explicit(&regions[i].is_taken, memory_order_relaxed) &&
        !atomic_exchange_explicit(&regions[i].is_taken, true, memory_order_acquire)) {
      return &regions[i];
    }
  }
  return NULL;
}

/* Opens `seats` seats and sees to it that workers come. */
static void post(region *r, int32_t seats) {
  atomic_store_explicit(&r->state, (uint32_t)seats, memory_order_release);
  atomic_fetch_add(&posted, 1);
  const int32_t asleep = atomic_load(&sleeping), missing = seats - atomic_load(&watching);
  if (asleep > 0 && missing > 0) wake(&posted, missing);
}

static void wait_for_members(region *r) {
  uint32_t state = atomic_fetch_and_explicit(&r->state, ~SEATS, memory_order_acquire) & ~SEATS;
  if ((state & MEMBERS) == 0) return;
  while ((state & MEMBERS) != 0) {
    const uint32_t members = state & MEMBERS;
    if (!watch(&r->state, MEMBERS, members)) {
      state = atomic_fetch_or_explicit(&r->state, SLEEPING, memory_order_acquire) | SLEEPING;
      if ((state & MEMBERS) != 0) sleep_while(&r->state, state);
    }
    state = atomic_load_explicit(&r->state, memory_order_acquire);
  }
}

void mo_parallel_for(int32_t threads, int64_t count, int64_t grain, mo_parallel_body body, const void *job) {
  if (count <= 0) return;
  if (grain <= 0) grain = threads > 0 ? count / ((int64_t)threads * PIECES_PER_THREAD) : count;
  if (grain <= 0) grain = 1;
  const int64_t pieces = count / grain + (count % grain != 0);
  int32_t seats = (int32_t)(pieces < threads ? pieces : threads) - 1;
  region *r = NULL;
  if (seats > 0 && !is_inside) {
    const int32_t open = atomic_fetch_add_explicit(&open_seats, seats, memory_order_relaxed) + seats;
    const int32_t spare = atomic_load_explicit(&processor_count, memory_order_relaxed) - 1;
    /* Loops of several callers share workers where there are no processors for more. */
    const int32_t wanted = open < spare ? open : spare > seats ? spare : seats;
    if (atomic_load_explicit(&worker_count, memory_order_relaxed) < wanted) start_workers(wanted);
    if (atomic_load_explicit(&worker_count, memory_order_relaxed) > 0) r = take_region();
    if (r == NULL) atomic_fetch_sub_explicit(&open_seats, seats, memory_order_relaxed);
  }
  if (r == NULL) {
    body(job, 0, count, 0);
    return;
  }
  check_core();
  r->body = body;
  r->job = job;
  r->count = count;
  r->grain = grain;
  r->pieces = pieces;
  atomic_store_explicit(&r->next, 0, memory_order_relaxed);
  post(r, seats);
  do_pieces(r, 0);
  wait_for_members(r);
  atomic_store_explicit(&r->state, 0, memory_order_relaxed);
  atomic_store_explicit(&r->is_taken, false, memory_order_release);
  atomic_fetch_sub_explicit(&open_seats, seats, memory_order_relaxed);
}

int32_t mo_parallel_thread_count(int32_t wanted) {
  if (wanted <= 0) wanted = mo_cpu_number(getenv("MODELOUT_NUM_THREADS"));
  if (wanted <= 0) wanted = mo_cpu_number(getenv("OMP_NUM_THREADS"));
  if (wanted <= 0) wanted = mo_cpu_count();
  const long machine = THREADS_PER_PROCESSOR * sysconf(_SC_NPROCESSORS_CONF);
  const long most = machine < THREADS_ALWAYS_ALLOWED ? THREADS_ALWAYS_ALLOWED : machine > THREADS_MOST ? THREADS_MOST : machine;
  return wanted < most ? wanted : (int32_t)most;
}
