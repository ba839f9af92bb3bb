// The same command at another time and in another order of folders: what it makes must not differ.
// The clock is changed where a program asks the kernel, so programs are kept from the copy of the
// clock that the kernel lends them (vdso(7)); folders are listed backwards.

#include "audit.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <time.h>

#define LISTING_MAX (1 << 20)
#define AUXILIARY_MAX 64
#define WORDS_MAX (1 << 20)

// Where the times of a file are: read, changed, and its inode changed; struct stat is the same on
// both architectures, struct statx everywhere and with the time of its making besides.
static const uint16_t stat_times[] = {72, 88, 104};
static const uint16_t statx_times[] = {64, 80, 96, 112};
// Clocks of file systems tick, and may be behind by so many seconds.
#define TICK 1

// The clock goes so much slower, and only in whole seconds: what takes a moment longer in one run than
// in the other does not see another time, and whoever waits for time to pass does not wait forever.
#define SLOWNESS 10

static int64_t begins_at, started_at;
static bool turned;

void set_variation(int64_t given_begins_at, bool given_turned) {
  begins_at = given_begins_at;
  turned = given_turned;
  started_at = time(NULL);
}

static int64_t varied_seconds(int64_t seconds) {
  return begins_at + (seconds > started_at ? (seconds - started_at) / SLOWNESS : 0);
}

// The registers hold what the call returned.
static bool read_registers(pid_t id, struct user_regs_struct *registers) {
  struct iovec part = {registers, sizeof *registers};
  return ptrace(PTRACE_GETREGSET, id, (void *)NT_PRSTATUS, &part) == 0;
}

static int64_t returned(const struct user_regs_struct *registers) {
#if defined(__x86_64__)
  return (int64_t)registers->rax;
#else
  return (int64_t)registers->regs[0];
#endif
}

// linux_dirent64: inode, offset, length of the record, kind, name. The offsets stay in their places:
// a program that goes on from one, goes on behind this batch.
static void turn_listing(pid_t id, uint64_t at, size_t size) {
  static char from[LISTING_MAX], to[LISTING_MAX];
  if (size > sizeof from || !read_memory(id, at, from, size)) return;
  size_t end = size, last = 0;
  uint64_t highest = 0;
  for (size_t here = 0; here + 19 <= size;) {
    uint16_t length;
    memcpy(&length, from + here + 16, sizeof length);
    if (length < 19 || here + length > size) return;
    end -= length;
    memcpy(to + end, from + here, length);
    memcpy(&highest, from + here + 8, sizeof highest);
    here += length;
    last = here;
  }
  if (last != size || end != 0) return;
  // Whichever record is read last says where to go on.
  for (size_t here = 0; here + 19 <= size;) {
    uint16_t length;
    memcpy(&length, to + here + 16, sizeof length);
    memcpy(to + here + 8, &highest, sizeof highest);
    here += length;
  }
  write_memory(id, at, to, size);
}

// Seconds, a word, and parts of one, a word or half of one.
static void shift_clock(pid_t id, uint64_t at, bool wide) {
  int64_t seconds, part = 0;
  if (at == 0 || !read_memory(id, at, &seconds, sizeof seconds)) return;
  seconds = varied_seconds(seconds);
  write_memory(id, at, &seconds, sizeof seconds);
  write_memory(id, at + 8, &part, wide ? 8 : 4);
}

// The kernel stamps files by its own clock. What the command stamped itself stays, and so do files
// that were there before.
static void shift_file_times(pid_t id, uint64_t at, const uint16_t *offsets, size_t count,
                             bool wide) {
  for (size_t i = 0; i < count; i++) {
    int64_t seconds;
    if (!read_memory(id, at + offsets[i], &seconds, sizeof seconds)) return;
    if (seconds < started_at - TICK || seconds > time(NULL) + TICK) continue;
    shift_clock(id, at + offsets[i], wide);
  }
}

void vary_result(struct task *task) {
  struct user_regs_struct registers;
  const struct stopped *stopped = &task->pending;
  const uint64_t at = stopped->arguments[stopped->call->path];
  if (!read_registers(task->id, &registers)) return;
  const int64_t result = returned(&registers);
  if (result < 0) return;
  switch (stopped->call->act) {
  case ACT_LIST:
    if (turned) turn_listing(task->id, at, (size_t)result);
    return;
  case ACT_CLOCK: {
    const uint64_t clock = stopped->arguments[stopped->call->flags];
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI) {
      shift_clock(task->id, at, true);
    }
    return;
  }
  case ACT_TIME_OF_DAY: shift_clock(task->id, at, true); return;
  case ACT_STAT: shift_file_times(task->id, at, stat_times, 3, true); return;
  case ACT_STATX: shift_file_times(task->id, at, statx_times, 4, false); return;
#if defined(__x86_64__)
  case ACT_TIME: {
    struct iovec part = {&registers, sizeof registers};
    const int64_t seconds = varied_seconds(result);
    registers.rax = (unsigned long long)seconds;
    ptrace(PTRACE_SETREGSET, task->id, (void *)NT_PRSTATUS, &part);
    if (at != 0) write_memory(task->id, at, &seconds, sizeof seconds);
    return;
  }
#endif
  default: return;
  }
}

// On the stack of a program that begins: a count, its words, its environment, and what the kernel
// tells it, in pairs. Without the address of the lent clock it asks the kernel.
void vary_start(pid_t id) {
  struct user_regs_struct registers;
  uint64_t words;
  if (!read_registers(id, &registers)) return;
#if defined(__x86_64__)
  uint64_t at = registers.rsp;
#else
  uint64_t at = registers.sp;
#endif
  if (!read_memory(id, at, &words, sizeof words) || words > WORDS_MAX) return;
  at += (words + 2) * sizeof words;
  for (size_t i = 0; i < WORDS_MAX; i++) {
    uint64_t word;
    if (!read_memory(id, at, &word, sizeof word)) return;
    at += sizeof word;
    if (word == 0) break;
  }
  for (size_t i = 0; i < AUXILIARY_MAX; i++, at += 16) {
    uint64_t pair[2];
    if (!read_memory(id, at, pair, sizeof pair) || pair[0] == AT_NULL) return;
    if (pair[0] != AT_SYSINFO_EHDR) continue;
    const uint64_t ignored = AT_IGNORE;
    write_memory(id, at, &ignored, sizeof ignored);
  }
}
