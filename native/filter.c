// The filter on system calls that every action runs under: what no build needs, and what would let
// a flaw of the kernel, or a device of it, be reached from inside. A second wall behind namespaces
// and the lack of capabilities, which refuse most of this already. seccomp(2), landlock(7).
//
// What people run in builds has to live with it: compilers, JVM, Go, Node, Rust, Python, shells,
// debuggers and sanitizers (hence ptrace, of the action's own processes, and personality).

#include "sandbox.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// From linux/seccomp.h, linux/filter.h, linux/audit.h and linux/landlock.h, which a musl tool chain
// does not have.
#define MODE_FILTER 1
// A filter alone is no reason to slow the processor down (the default since Linux 5.16).
#define ALLOW_SPECULATION 4
#define KILL 0x80000000u
#define REFUSE 0x00050000u
#define ALLOW 0x7fff0000u
#define LOAD_WORD 0x20
#define JUMP_EQUAL 0x15
#define JUMP_NOT_BELOW 0x35
#define JUMP_ANY_BIT 0x45
#define RETURN 0x06
#define CALL_CREATE_RULESET 444
#define CALL_RESTRICT_SELF 446
#define SCOPE_ABSTRACT_SOCKETS 1

#if defined(__x86_64__)
#define ARCHITECTURE 0xC000003Eu
#elif defined(__aarch64__)
#define ARCHITECTURE 0xC00000B7u
#else
#error "The sandbox's filter knows the system calls of x86-64 and arm64 only."
#endif

// Numbers of calls newer than the C library's list; since 424 the same on all architectures.
#define CALL_OPEN_TREE 428
#define CALL_MOVE_MOUNT 429
#define CALL_FSOPEN 430
#define CALL_FSCONFIG 431
#define CALL_FSMOUNT 432
#define CALL_FSPICK 433
#define CALL_CLONE3 435
#define CALL_MOUNT_SETATTR 442
#define CALL_QUOTACTL_FD 443
#define CALL_OPEN_TREE_ATTR 467

// clone(2): every new namespace. The time namespace's bit is a signal number there; only unshare
// can ask for one.
#define NEW_NAMESPACES 0x7E020000u
#define NEW_TIME 0x80u
// ioctl(2) on a terminal: type into it, and the console's menu, which can do the same.
#define TYPE_INTO_TERMINAL 0x5412
#define CONSOLE_MENU 0x541C

// One instruction of the classic Berkeley filter machine.
struct instruction {
  uint16_t code;
  uint8_t if_true, if_false;
  uint32_t value;
};

struct program {
  unsigned short length;
  const struct instruction *instructions;
};

// What the machine sees of a call.
struct call {
  int32_t number;
  uint32_t architecture;
  uint64_t at;
  uint64_t arguments[6];
};

static const int forbidden[] = {
    // File systems.
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, CALL_OPEN_TREE, CALL_MOVE_MOUNT,
    CALL_FSOPEN, CALL_FSCONFIG, CALL_FSMOUNT, CALL_FSPICK, CALL_MOUNT_SETATTR,
    CALL_OPEN_TREE_ATTR, SYS_quotactl, CALL_QUOTACTL_FD, SYS_open_by_handle_at, SYS_fanotify_init,
    SYS_swapon, SYS_swapoff,
    // The machine.
    SYS_reboot, SYS_kexec_load, SYS_init_module, SYS_finit_module, SYS_delete_module,
    SYS_settimeofday, SYS_clock_settime, SYS_clock_adjtime, SYS_adjtimex,
    SYS_sethostname, SYS_setdomainname, SYS_syslog, SYS_acct, SYS_vhangup,
    // Large and often flawed parts of the kernel.
    SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_keyctl, SYS_add_key, SYS_request_key,
    SYS_setns,
// Left out of some lists: new kernels no longer have the one, old ones not yet the other.
#ifdef SYS_lookup_dcookie
    SYS_lookup_dcookie,
#endif
#ifdef SYS_kexec_file_load
    SYS_kexec_file_load,
#endif
#if defined(__x86_64__)
    SYS_iopl, SYS_ioperm, SYS_uselib, SYS_ustat, SYS_sysfs, SYS__sysctl, SYS_create_module,
    SYS_query_module, SYS_get_kernel_syms,
#endif
};

// Programs try these and have another way: "not there" is the answer that they understand.
static const int absent[] = {425, 426, 427, // io_uring: outside of the filter's sight
                             CALL_CLONE3};  // its flags are; C libraries then use clone

// The families of sockets: unspecified, Unix, IPv4, IPv6 and netlink. Others reach past network
// namespaces (vsock: the host of a virtual machine) or into little-used code.
static const uint32_t families[] = {0, 1, 2, 10, 16};

#define INSTRUCTIONS_MAX 256
static struct instruction instructions[INSTRUCTIONS_MAX];
static unsigned short count;

static void add(uint16_t code, uint32_t value, uint8_t if_true, uint8_t if_false) {
  if (count == INSTRUCTIONS_MAX) _exit(1); // cannot be: the tables above are of a known length
  instructions[count++] = (struct instruction){code, if_true, if_false, value};
}

static void answer(int number, uint32_t value) {
  add(JUMP_EQUAL, (uint32_t)number, 0, 1);
  add(RETURN, value, 0, 0);
}

// Both architectures are little-endian, and the kernel itself looks at the low half of these
// arguments only: whatever is in the other must not make a difference here either.
static void load_argument(int index) {
  add(LOAD_WORD, (uint32_t)(offsetof(struct call, arguments) + 8 * (size_t)index), 0, 0);
}

static void refuse_flags(int number, uint32_t flags) {
  add(JUMP_EQUAL, (uint32_t)number, 0, 4);
  load_argument(0);
  add(JUMP_ANY_BIT, flags, 0, 1);
  add(RETURN, REFUSE | EPERM, 0, 0);
  add(RETURN, ALLOW, 0, 0);
}

static void allow_families(int number) {
  const uint8_t known = sizeof families / sizeof *families;
  add(JUMP_EQUAL, (uint32_t)number, 0, (uint8_t)(known + 3));
  load_argument(0);
  for (uint8_t i = 0; i < known; i++) add(JUMP_EQUAL, families[i], (uint8_t)(known - i), 0);
  add(RETURN, REFUSE | EAFNOSUPPORT, 0, 0);
  add(RETURN, ALLOW, 0, 0);
}

static void refuse_terminal_input(void) {
  add(JUMP_EQUAL, SYS_ioctl, 0, 5);
  load_argument(1);
  add(JUMP_EQUAL, TYPE_INTO_TERMINAL, 1, 0);
  add(JUMP_EQUAL, CONSOLE_MENU, 0, 1);
  add(RETURN, REFUSE | EPERM, 0, 0);
  add(RETURN, ALLOW, 0, 0);
}

bool filter_calls(void) {
  // Programs of another architecture have other numbers: they end at once, by SIGSYS.
  add(LOAD_WORD, offsetof(struct call, architecture), 0, 0);
  add(JUMP_EQUAL, ARCHITECTURE, 1, 0);
  add(RETURN, KILL, 0, 0);
  add(LOAD_WORD, offsetof(struct call, number), 0, 0);
#if defined(__x86_64__)
  // x32 counts from here; almost no kernel has it.
  add(JUMP_NOT_BELOW, 0x40000000, 0, 1);
  add(RETURN, REFUSE | ENOSYS, 0, 0);
#endif
  for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
    answer(forbidden[i], REFUSE | EPERM);
  }
  for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) answer(absent[i], REFUSE | ENOSYS);
  refuse_flags(SYS_unshare, NEW_NAMESPACES | NEW_TIME);
  refuse_flags(SYS_clone, NEW_NAMESPACES);
  allow_families(SYS_socket);
  allow_families(SYS_socketpair);
  refuse_terminal_input();
  add(RETURN, ALLOW, 0, 0);
  const struct program program = {.length = count, .instructions = instructions};
  return syscall(SYS_seccomp, MODE_FILTER, ALLOW_SPECULATION, &program) == 0;
}

bool leave_abstract_sockets(void) {
  const struct {
    uint64_t files, network, scoped;
  } rules = {.scoped = SCOPE_ABSTRACT_SOCKETS};
  int ruleset = (int)syscall(CALL_CREATE_RULESET, &rules, sizeof rules, 0);
  if (ruleset < 0) return false;
  bool ok = syscall(CALL_RESTRICT_SELF, ruleset, 0) == 0;
  close(ruleset);
  return ok;
}
