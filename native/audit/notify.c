// How the tracer hears of calls where the kernel has seccomp's notifications: the caller waits while
// we look, and each wakes the other on its own processor. A stop of ptrace wakes another one, which
// where it had nothing to do costs more than the look itself. seccomp_unotify(2).

#include "audit.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#if defined(__x86_64__)
#include <sys/user.h>
#endif

// From linux/seccomp.h.
#define RECEIVE 0xc0502100
#define ANSWER 0xc0182101
#define SET_FLAGS 0x40082104
#define WAKE_HERE 1ul
#define GO_ON 1u

struct notification {
  uint64_t id;
  uint32_t task, flags;
  int32_t number;
  uint32_t architecture;
  uint64_t instruction_pointer, arguments[6];
};

struct answer {
  uint64_t id;
  int64_t value;
  int32_t error;
  uint32_t flags;
};

void begin_notices(int listener) {
  // Linux 6.6; before it the wakening is slower, and all else the same.
  ioctl(listener, SET_FLAGS, WAKE_HERE);
}

bool take_notice(int listener, struct notice *notice) {
  struct notification told = {0};
  if (ioctl(listener, RECEIVE, &told) != 0) return false;
  *notice = (struct notice){.id = told.id, .task = (pid_t)told.task};
  notice->stopped.narrow = is_narrow(told.architecture);
  notice->stopped.call = find_call(told.architecture, (uint32_t)told.number, false);
  memcpy(notice->stopped.arguments, told.arguments, sizeof told.arguments);
  return true;
}

void answer_notice(int listener, const struct notice *notice) {
  const struct answer answer = {.id = notice->id, .flags = GO_ON};
  // It fails where the caller was killed meanwhile.
  while (ioctl(listener, ANSWER, &answer) != 0 && errno == EINTR) {
  }
}

// A signal that comes before we heard of a call cuts the call short: as if it had been made, and its
// handler wanted no repeating. Calls that name files are never cut short so by a disk.
void repeat_call(pid_t id, uint32_t architecture) {
#if defined(__x86_64__)
  const long cut_short = -512, repeat = -513; // ERESTARTSYS and ERESTARTNOINTR of linux/errno.h
  long number = ptrace(PTRACE_PEEKUSER, id, (void *)offsetof(struct user_regs_struct, orig_rax), 0);
  void *result = (void *)offsetof(struct user_regs_struct, rax);
  if (number < 0 || ptrace(PTRACE_PEEKUSER, id, result, 0) != cut_short) return;
  const struct call *call = find_call(architecture, (uint32_t)number, false);
  if (call != NULL && is_notified(call)) ptrace(PTRACE_POKEUSER, id, result, (void *)repeat);
#else
  (void)id, (void)architecture;
#endif
}
