/* tests/core/parallel_test.cc - the thread pool: who does what, several callers, a forked child, a system that gives no thread.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/parallel.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "host/core/cpu_count.h"
#include "modelout/context.h"
#include "modelout/softmax.h"

namespace {

using Body = std::function<void(int64_t first, int64_t last, int32_t slot)>;

void ParallelFor(int32_t threads, int64_t count, int64_t grain, const Body &body) {
  mo_parallel_for(
      threads, count, grain,
      [](const void *job, int64_t first, int64_t last, int32_t slot) { (*static_cast<const Body *>(job))(first, last, slot); },
      &body);
}

TEST(ThreadPool, DoesEveryElementOnce) {
  for (int32_t threads : {1, 2, 3, 8}) {
    for (int64_t count : {0, 1, 2, 7, 64, 1001}) {
      for (int64_t grain : {0, 1, 3, 64, 5000}) {
        std::vector<int> done(static_cast<size_t>(count)); /* plain ints: what bodies write can be read afterwards */
        ParallelFor(threads, count, grain, [&](int64_t first, int64_t last, int32_t slot) {
          EXPECT_GE(slot, 0);
          EXPECT_LT(slot, threads);
          EXPECT_LT(first, last);
          for (int64_t i = first; i < last; ++i) ++done[static_cast<size_t>(i)];
        });
        EXPECT_EQ(done, std::vector<int>(static_cast<size_t>(count), 1)) << threads << " threads, grain " << grain;
      }
    }
  }
}

TEST(ThreadPool, SlotsBelongToOneThreadAtATime) {
  std::atomic<int> taken[4] = {};
  for (int round = 0; round < 200; ++round) {
    ParallelFor(4, 64, 1, [&](int64_t, int64_t, int32_t slot) {
      EXPECT_EQ(taken[slot].fetch_add(1), 0);
      taken[slot].fetch_sub(1);
    });
  }
}

/* True if `condition` came true within half a minute. */
bool Await(const std::function<bool()> &condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return true;
}

TEST(ThreadPool, AThreadHoldsUpOnlyThePieceItIsIn) {
  std::atomic<int> finished{0};
  std::atomic<bool> is_held{false}, others_came{false};
  ParallelFor(2, 100, 1, [&](int64_t, int64_t, int32_t slot) {
    if (slot != 0 && !is_held.exchange(true)) others_came = Await([&] { return finished == 99; });
    /* The caller leaves pieces to the other thread until that one has come. */
    if (slot == 0 && finished == 0) {
      EXPECT_TRUE(Await([&] { return is_held.load(); }));
    }
    ++finished;
  });
  EXPECT_EQ(finished, 100);
  EXPECT_TRUE(others_came) << "the caller did not do the rest";
}

TEST(ThreadPool, ALoopInsideALoopRunsAlone) {
  std::atomic<int> done{0};
  ParallelFor(3, 12, 1, [&](int64_t, int64_t, int32_t) {
    const pthread_t self = pthread_self();
    ParallelFor(3, 10, 1, [&](int64_t first, int64_t last, int32_t slot) {
      EXPECT_TRUE(pthread_equal(self, pthread_self()));
      EXPECT_EQ(slot, 0);
      done += static_cast<int>(last - first);
    });
  });
  EXPECT_EQ(done, 120);
}

/* More callers than there are places for loops, with different numbers of threads. */
TEST(ThreadPool, ManyCallersAtOnce) {
  std::vector<std::thread> callers;
  std::atomic<int64_t> sum{0};
  for (int caller = 0; caller < 40; ++caller) {
    callers.emplace_back([&, caller] {
      for (int round = 0; round < 50; ++round) {
        ParallelFor(2 + caller % 3, 100, 5, [&](int64_t first, int64_t last, int32_t) { sum += last - first; });
      }
    });
  }
  for (std::thread &caller : callers) caller.join();
  EXPECT_EQ(sum, 40 * 50 * 100);
}

TEST(ThreadPool, SignalsStayWithTheProgramsOwnThreads) {
  std::mutex mutex;
  std::atomic<bool> came{false};
  sigset_t blocked;
  sigemptyset(&blocked);
  ParallelFor(2, 50, 1, [&](int64_t, int64_t, int32_t slot) {
    if (slot == 0) {
      EXPECT_TRUE(Await([&] { return came.load(); }));
      return;
    }
    const std::lock_guard<std::mutex> lock(mutex);
    pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
    came = true;
  });
  EXPECT_EQ(sigismember(&blocked, SIGTERM), 1);
  EXPECT_EQ(sigismember(&blocked, SIGALRM), 1);
}

/* ---- How many ---- */

int32_t ThreadsOf(int32_t wanted) {
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.device = MO_DEVICE_CHOICE_CPU;
  options.thread_count = wanted;
  mo_context_t *context = nullptr;
  EXPECT_EQ(mo_context_create(&options, &context), MO_STATUS_OK);
  const int32_t count = mo_context_thread_count(context);
  mo_context_destroy(context);
  return count;
}

struct Variable {
  explicit Variable(const char *name, const char *value) : name_(name) { setenv(name, value, 1); }
  ~Variable() { unsetenv(name_); }
  const char *name_;
};

TEST(ThreadCount, IsWhatTheContextSays) {
  unsetenv("OMP_NUM_THREADS");
  unsetenv("MODELOUT_NUM_THREADS");
  EXPECT_EQ(ThreadsOf(3), 3);
  EXPECT_EQ(ThreadsOf(0), mo_cpu_count());
  const Variable general("OMP_NUM_THREADS", "5,2");
  EXPECT_EQ(ThreadsOf(0), 5);
  EXPECT_EQ(ThreadsOf(2), 2);
  {
    const Variable own("MODELOUT_NUM_THREADS", "7");
    EXPECT_EQ(ThreadsOf(0), 7);
  }
  for (const char *nonsense : {"", "0", "-4", "many"}) {
    const Variable own("MODELOUT_NUM_THREADS", nonsense);
    EXPECT_EQ(ThreadsOf(0), 5) << nonsense;
  }
  const Variable own("MODELOUT_NUM_THREADS", "99999999999999999999");
  EXPECT_EQ(ThreadsOf(0), ThreadsOf(INT32_MAX));
}

TEST(ThreadCount, QuotaOfAControlGroup) {
  EXPECT_EQ(mo_cpu_quota("200000 100000\n"), 2);
  EXPECT_EQ(mo_cpu_quota("150000 100000\n"), 2);
  EXPECT_EQ(mo_cpu_quota("1000 100000\n"), 1);
  for (const char *none : {"max 100000\n", "", "100000", "-1 100000", "100000 0", "9223372036854775807 1"}) {
    EXPECT_EQ(mo_cpu_quota(none), INT32_MAX) << none;
  }
}

/* ---- Ops, in this process and in children ---- */

/* A softmax whose rows are shared out: every element of a row of equal values is 1 / columns. */
bool SoftmaxWorks(int32_t threads) {
  const int64_t shape[] = {256, 1024};
  std::vector<float> input(256 * 1024, 3.0f), output(input.size());
  const mo_tensor from = mo_tensor_cpu(input.data(), MO_DTYPE_FLOAT32, 2, shape);
  const mo_tensor to = mo_tensor_cpu(output.data(), MO_DTYPE_FLOAT32, 2, shape);
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.device = MO_DEVICE_CHOICE_CPU;
  options.thread_count = threads;
  mo_context_t *context = nullptr;
  if (mo_context_create(&options, &context) != MO_STATUS_OK) return false;
  mo_softmax_params params = MO_SOFTMAX_PARAMS_INIT;
  params.input = &from;
  params.output = &to;
  bool works = mo_softmax(context, &params) == MO_STATUS_OK;
  for (float value : output) works = works && value > 0.99f / 1024 && value < 1.01f / 1024;
  mo_context_destroy(context);
  return works;
}

/* Runs `child` in a forked process; its exit status, or -1 if a signal (of its alarm, for one) ended it. */
int InChild(const std::function<bool()> &child) {
  const pid_t process = fork();
  if (process == 0) {
    alarm(60);
    _exit(child() ? 0 : 1);
  }
  int status = 0;
  waitpid(process, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(ThreadCount, FarTooManyAreFewer) {
  for (int32_t wanted : {100000, INT32_MAX}) {
    EXPECT_GE(ThreadsOf(wanted), 64);
    EXPECT_LE(ThreadsOf(wanted), 16384);
    EXPECT_LT(ThreadsOf(wanted), wanted);
    EXPECT_TRUE(SoftmaxWorks(wanted));
  }
}

#if !defined(__SANITIZE_THREAD__) /* that sanitizer allows no new threads in the child */

TEST(ForkedChild, HasAPoolOfItsOwn) {
  ASSERT_TRUE(SoftmaxWorks(2));
  EXPECT_EQ(InChild([] {
              std::atomic<bool> came{false};
              ParallelFor(2, 50, 1, [&](int64_t, int64_t, int32_t slot) {
                if (slot != 0) came.store(true);
                else Await([&] { return came.load(); });
              });
              /* and so has a child of the child */
              return came && SoftmaxWorks(2) && InChild([] { return SoftmaxWorks(3); }) == 0;
            }),
            0);
  EXPECT_TRUE(SoftmaxWorks(2));
}

TEST(ForkedChild, OfAProgramWhoseOtherThreadsAreInLoops) {
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop) ParallelFor(3, 100, 1, [](int64_t, int64_t, int32_t) {});
  });
  for (int i = 0; i < 5; ++i) EXPECT_EQ(InChild([] { return SoftmaxWorks(2); }), 0);
  stop = true;
  busy.join();
}

TEST(ForkedChild, WithoutAnyThreadToBeHad) {
  EXPECT_EQ(InChild([] {
              const rlimit one = {1, 1};
              if (setrlimit(RLIMIT_NPROC, &one) != 0) return false;
              if (getuid() == 0 && setuid(65534) != 0) return false; /* the limit does not bind root */
              return SoftmaxWorks(4) && SoftmaxWorks(INT32_MAX);
            }),
            0);
}

TEST(ForkedChild, OnOneProcessor) {
  EXPECT_EQ(InChild([] {
              cpu_set_t set;
              if (sched_getaffinity(0, sizeof set, &set) != 0) return false;
              int first = 0;
              while (!CPU_ISSET(first, &set)) ++first;
              CPU_ZERO(&set);
              CPU_SET(first, &set);
              return sched_setaffinity(0, sizeof set, &set) == 0 && mo_cpu_count() == 1 && SoftmaxWorks(0) && SoftmaxWorks(4);
            }),
            0);
}

#if !defined(__SANITIZE_ADDRESS__) /* which takes terabytes of address space */
TEST(ForkedChild, WithoutAddressSpaceForAStack) {
  EXPECT_EQ(InChild([] {
              long pages = 0;
              FILE *file = fopen("/proc/self/statm", "r");
              const bool is_read = file != nullptr && fscanf(file, "%ld", &pages) == 1;
              if (file != nullptr) fclose(file);
              /* room for the tensors, not for thousand stacks of a megabyte */
              const rlim_t bytes = static_cast<rlim_t>(pages) * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + (20 << 20);
              const rlimit limit = {bytes, bytes};
              return is_read && setrlimit(RLIMIT_AS, &limit) == 0 && SoftmaxWorks(2) && SoftmaxWorks(INT32_MAX);
            }),
            0);
}
#endif

#endif

}  // namespace
