// Which system calls name a file or an address, and the filter that stops at just these. A call that
// is newer than this list is answered with "not there", as is io_uring, whose requests no filter
// sees: programs that try them have another way. seccomp(2), syscalls(2).

#include "audit.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

// From linux/seccomp.h, linux/filter.h and linux/audit.h, which a musl tool chain does not have.
#define SET_FILTER 1
#define NEW_LISTENER 0x08u
#define WAIT_KILLABLE 0x20u
#define REFUSE 0x00050000u
#define TRACE 0x7ff00000u
#define NOTIFY 0x7fc00000u
#define ALLOW 0x7fff0000u
#define KILL 0x80000000u
#define LOAD_WORD 0x20
#define JUMP_EQUAL 0x15
#define JUMP_NOT_BELOW 0x35
#define JUMP 0x05
#define RETURN 0x06
#define ARCH_X86_64 0xC000003Eu
#define ARCH_I386 0x40000003u
#define ARCH_AARCH64 0xC00000B7u

#if defined(__x86_64__)
#define ARCHITECTURE ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE ARCH_AARCH64
#else
#error "The audit knows the system calls of x86-64 and arm64 only."
#endif

// The last call of Linux 6.18 is file_setattr, 469 on every architecture.
#define FIRST_UNKNOWN 470
#define WIDE_BIT 0x80000000u

// Calls since 424 have one number everywhere.
#define CALLS_OF_ALL                                                                              \
  {428, ACT_HIDE, -1, -1, -1, "open_tree"}, {429, ACT_HIDE, -1, -1, -1, "move_mount"},            \
      {430, ACT_HIDE, -1, -1, -1, "fsopen"}, {432, ACT_HIDE, -1, -1, -1, "fsmount"},              \
      {433, ACT_HIDE, -1, -1, -1, "fspick"}, {437, ACT_OPEN_HOW, 0, 1, 2, "openat2"},             \
      {438, ACT_HIDE, -1, -1, -1, "pidfd_getfd"}, {439, ACT_LOOK, 0, 1, 3, "faccessat2"},         \
      {452, ACT_CHANGE, 0, 1, 3, "fchmodat2"}, {463, ACT_CHANGE, 0, 1, 2, "setxattrat"},          \
      {464, ACT_LOOK, 0, 1, 2, "getxattrat"}, {465, ACT_LOOK, 0, 1, 2, "listxattrat"},            \
      {466, ACT_CHANGE, 0, 1, 2, "removexattrat"}, {467, ACT_HIDE, -1, -1, -1, "open_tree_attr"}, \
      {468, ACT_LOOK, 0, 1, 4, "file_getattr"}, {469, ACT_CHANGE, 0, 1, 4, "file_setattr"}

static const struct call own_calls[] = {
    {SYS_openat, ACT_OPEN, 0, 1, 2, "openat"},
    {SYS_newfstatat, ACT_LOOK, 0, 1, 3, "newfstatat"},
    {SYS_statx, ACT_LOOK, 0, 1, 2, "statx"},
    {SYS_faccessat, ACT_LOOK, 0, 1, -1, "faccessat"},
    {SYS_readlinkat, ACT_LOOK_AT_LINK, 0, 1, -1, "readlinkat"},
    {SYS_chdir, ACT_LOOK, -1, 0, -1, "chdir"},
    {SYS_statfs, ACT_LOOK, -1, 0, -1, "statfs"},
    {SYS_getxattr, ACT_LOOK, -1, 0, -1, "getxattr"},
    {SYS_lgetxattr, ACT_LOOK_AT_LINK, -1, 0, -1, "lgetxattr"},
    {SYS_listxattr, ACT_LOOK, -1, 0, -1, "listxattr"},
    {SYS_llistxattr, ACT_LOOK_AT_LINK, -1, 0, -1, "llistxattr"},
    {SYS_inotify_add_watch, ACT_LOOK, -1, 1, -1, "inotify_add_watch"},
    {SYS_fanotify_mark, ACT_LOOK, 3, 4, -1, "fanotify_mark"},
    {SYS_name_to_handle_at, ACT_LOOK, 0, 1, -1, "name_to_handle_at"},
    {SYS_execve, ACT_EXECUTE, -1, 0, -1, "execve"},
    {SYS_execveat, ACT_EXECUTE, 0, 1, 4, "execveat"},
    {SYS_mkdirat, ACT_MAKE_FOLDER, 0, 1, -1, "mkdirat"},
    {SYS_mknodat, ACT_MAKE, 0, 1, -1, "mknodat"},
    {SYS_symlinkat, ACT_MAKE, 1, 2, -1, "symlinkat"},
    {SYS_unlinkat, ACT_REMOVE, 0, 1, -1, "unlinkat"},
    {SYS_renameat2, ACT_RENAME, 0, 1, -1, "renameat2"},
    {SYS_linkat, ACT_LINK, 0, 1, -1, "linkat"},
    {SYS_truncate, ACT_CHANGE, -1, 0, -1, "truncate"},
    {SYS_fchmodat, ACT_CHANGE, 0, 1, -1, "fchmodat"},
    {SYS_fchownat, ACT_CHANGE, 0, 1, 4, "fchownat"},
    {SYS_utimensat, ACT_CHANGE, 0, 1, 3, "utimensat"},
    {SYS_setxattr, ACT_CHANGE, -1, 0, -1, "setxattr"},
    {SYS_lsetxattr, ACT_CHANGE_LINK, -1, 0, -1, "lsetxattr"},
    {SYS_removexattr, ACT_CHANGE, -1, 0, -1, "removexattr"},
    {SYS_lremovexattr, ACT_CHANGE_LINK, -1, 0, -1, "lremovexattr"},
    {SYS_connect, ACT_ADDRESS, -1, 1, 2, "connect"},
    {SYS_bind, ACT_BIND, -1, 1, 2, "bind"},
    {SYS_sendto, ACT_ADDRESS, -1, 4, 5, "sendto"},
    {SYS_sendmsg, ACT_MESSAGE, -1, 1, -1, "sendmsg"},
    {SYS_sendmmsg, ACT_MESSAGES, -1, 1, 2, "sendmmsg"},
    {SYS_chroot, ACT_HIDE, -1, -1, -1, "chroot"},
    {SYS_pivot_root, ACT_HIDE, -1, -1, -1, "pivot_root"},
    {SYS_mount, ACT_HIDE, -1, -1, -1, "mount"},
    {SYS_unshare, ACT_HIDE, -1, -1, -1, "unshare"},
    {SYS_setns, ACT_HIDE, -1, -1, -1, "setns"},
    {SYS_open_by_handle_at, ACT_HIDE, -1, -1, -1, "open_by_handle_at"},
    {SYS_bpf, ACT_HIDE, -1, -1, -1, "bpf"},
    {SYS_swapon, ACT_HIDE, -1, -1, -1, "swapon"},
    {SYS_acct, ACT_HIDE, -1, -1, -1, "acct"},
    {SYS_mq_open, ACT_HIDE, -1, -1, -1, "mq_open"},
    {SYS_shmget, ACT_HIDE_KEYED, -1, -1, -1, "shmget"},
    {SYS_semget, ACT_HIDE_KEYED, -1, -1, -1, "semget"},
    {SYS_msgget, ACT_HIDE_KEYED, -1, -1, -1, "msgget"},
    {SYS_seccomp, ACT_HIDE_LISTENER, -1, -1, -1, "seccomp"},
#if defined(__aarch64__)
    {38, ACT_RENAME, 0, 1, -1, "renameat"},
#endif
#if defined(__x86_64__)
    {SYS_open, ACT_OPEN, -1, 0, 1, "open"},
    {SYS_creat, ACT_CREAT, -1, 0, -1, "creat"},
    {SYS_stat, ACT_LOOK, -1, 0, -1, "stat"},
    {SYS_lstat, ACT_LOOK_AT_LINK, -1, 0, -1, "lstat"},
    {SYS_access, ACT_LOOK, -1, 0, -1, "access"},
    {SYS_readlink, ACT_LOOK_AT_LINK, -1, 0, -1, "readlink"},
    {SYS_uselib, ACT_EXECUTE, -1, 0, -1, "uselib"},
    {SYS_mkdir, ACT_MAKE_FOLDER, -1, 0, -1, "mkdir"},
    {SYS_mknod, ACT_MAKE, -1, 0, -1, "mknod"},
    {SYS_symlink, ACT_MAKE, -1, 1, -1, "symlink"},
    {SYS_unlink, ACT_REMOVE, -1, 0, -1, "unlink"},
    {SYS_rmdir, ACT_REMOVE, -1, 0, -1, "rmdir"},
    {SYS_rename, ACT_RENAME, -1, 0, -1, "rename"},
    {SYS_renameat, ACT_RENAME, 0, 1, -1, "renameat"},
    {SYS_link, ACT_LINK, -1, 0, -1, "link"},
    {SYS_chmod, ACT_CHANGE, -1, 0, -1, "chmod"},
    {SYS_chown, ACT_CHANGE, -1, 0, -1, "chown"},
    {SYS_lchown, ACT_CHANGE_LINK, -1, 0, -1, "lchown"},
    {SYS_utime, ACT_CHANGE, -1, 0, -1, "utime"},
    {SYS_utimes, ACT_CHANGE, -1, 0, -1, "utimes"},
    {SYS_futimesat, ACT_CHANGE, 0, 1, -1, "futimesat"},
#endif
    CALLS_OF_ALL,
};

#if defined(__x86_64__)
// 32-bit programs: asm/unistd_32.h.
static const struct call narrow_calls[] = {
    {5, ACT_OPEN, -1, 0, 1, "open"},
    {8, ACT_CREAT, -1, 0, -1, "creat"},
    {9, ACT_LINK, -1, 0, -1, "link"},
    {10, ACT_REMOVE, -1, 0, -1, "unlink"},
    {11, ACT_EXECUTE, -1, 0, -1, "execve"},
    {12, ACT_LOOK, -1, 0, -1, "chdir"},
    {14, ACT_MAKE, -1, 0, -1, "mknod"},
    {15, ACT_CHANGE, -1, 0, -1, "chmod"},
    {16, ACT_CHANGE_LINK, -1, 0, -1, "lchown"},
    {18, ACT_LOOK, -1, 0, -1, "oldstat"},
    {21, ACT_HIDE, -1, -1, -1, "mount"},
    {30, ACT_CHANGE, -1, 0, -1, "utime"},
    {33, ACT_LOOK, -1, 0, -1, "access"},
    {38, ACT_RENAME, -1, 0, -1, "rename"},
    {39, ACT_MAKE_FOLDER, -1, 0, -1, "mkdir"},
    {40, ACT_REMOVE, -1, 0, -1, "rmdir"},
    {51, ACT_HIDE, -1, -1, -1, "acct"},
    {61, ACT_HIDE, -1, -1, -1, "chroot"},
    {83, ACT_MAKE, -1, 1, -1, "symlink"},
    {84, ACT_LOOK_AT_LINK, -1, 0, -1, "oldlstat"},
    {85, ACT_LOOK_AT_LINK, -1, 0, -1, "readlink"},
    {86, ACT_EXECUTE, -1, 0, -1, "uselib"},
    {87, ACT_HIDE, -1, -1, -1, "swapon"},
    {92, ACT_CHANGE, -1, 0, -1, "truncate"},
    {99, ACT_LOOK, -1, 0, -1, "statfs"},
    {102, ACT_SOCKET_CALL, -1, 1, 0, "socketcall"},
    {106, ACT_LOOK, -1, 0, -1, "stat"},
    {107, ACT_LOOK_AT_LINK, -1, 0, -1, "lstat"},
    {117, ACT_HIDE, -1, -1, -1, "ipc"},
    {182, ACT_CHANGE, -1, 0, -1, "chown"},
    {193, ACT_CHANGE, -1, 0, -1, "truncate64"},
    {195, ACT_LOOK, -1, 0, -1, "stat64"},
    {196, ACT_LOOK_AT_LINK, -1, 0, -1, "lstat64"},
    {198, ACT_CHANGE_LINK, -1, 0, -1, "lchown32"},
    {212, ACT_CHANGE, -1, 0, -1, "chown32"},
    {217, ACT_HIDE, -1, -1, -1, "pivot_root"},
    {226, ACT_CHANGE, -1, 0, -1, "setxattr"},
    {227, ACT_CHANGE_LINK, -1, 0, -1, "lsetxattr"},
    {229, ACT_LOOK, -1, 0, -1, "getxattr"},
    {230, ACT_LOOK_AT_LINK, -1, 0, -1, "lgetxattr"},
    {232, ACT_LOOK, -1, 0, -1, "listxattr"},
    {233, ACT_LOOK_AT_LINK, -1, 0, -1, "llistxattr"},
    {235, ACT_CHANGE, -1, 0, -1, "removexattr"},
    {236, ACT_CHANGE_LINK, -1, 0, -1, "lremovexattr"},
    {268, ACT_LOOK, -1, 0, -1, "statfs64"},
    {271, ACT_CHANGE, -1, 0, -1, "utimes"},
    {277, ACT_HIDE, -1, -1, -1, "mq_open"},
    {292, ACT_LOOK, -1, 1, -1, "inotify_add_watch"},
    {295, ACT_OPEN, 0, 1, 2, "openat"},
    {296, ACT_MAKE_FOLDER, 0, 1, -1, "mkdirat"},
    {297, ACT_MAKE, 0, 1, -1, "mknodat"},
    {298, ACT_CHANGE, 0, 1, 4, "fchownat"},
    {299, ACT_CHANGE, 0, 1, -1, "futimesat"},
    {300, ACT_LOOK, 0, 1, 3, "fstatat64"},
    {301, ACT_REMOVE, 0, 1, -1, "unlinkat"},
    {302, ACT_RENAME, 0, 1, -1, "renameat"},
    {303, ACT_LINK, 0, 1, -1, "linkat"},
    {304, ACT_MAKE, 1, 2, -1, "symlinkat"},
    {305, ACT_LOOK_AT_LINK, 0, 1, -1, "readlinkat"},
    {306, ACT_CHANGE, 0, 1, -1, "fchmodat"},
    {307, ACT_LOOK, 0, 1, -1, "faccessat"},
    {310, ACT_HIDE, -1, -1, -1, "unshare"},
    {320, ACT_CHANGE, 0, 1, 3, "utimensat"},
    {339, ACT_LOOK, 4, 5, -1, "fanotify_mark"},
    {341, ACT_LOOK, 0, 1, -1, "name_to_handle_at"},
    {342, ACT_HIDE, -1, -1, -1, "open_by_handle_at"},
    {345, ACT_MESSAGES, -1, 1, 2, "sendmmsg"},
    {346, ACT_HIDE, -1, -1, -1, "setns"},
    {353, ACT_RENAME, 0, 1, -1, "renameat2"},
    {354, ACT_HIDE_LISTENER, -1, -1, -1, "seccomp"},
    {357, ACT_HIDE, -1, -1, -1, "bpf"},
    {358, ACT_EXECUTE, 0, 1, 4, "execveat"},
    {361, ACT_BIND, -1, 1, 2, "bind"},
    {362, ACT_ADDRESS, -1, 1, 2, "connect"},
    {369, ACT_ADDRESS, -1, 4, 5, "sendto"},
    {370, ACT_MESSAGE, -1, 1, -1, "sendmsg"},
    {383, ACT_LOOK, 0, 1, 2, "statx"},
    {393, ACT_HIDE_KEYED, -1, -1, -1, "semget"},
    {395, ACT_HIDE_KEYED, -1, -1, -1, "shmget"},
    {399, ACT_HIDE_KEYED, -1, -1, -1, "msgget"},
    {412, ACT_CHANGE, 0, 1, 3, "utimensat_time64"},
    CALLS_OF_ALL,
};
#endif

// What a varied run sees differently: the clock, times of files made by it, the order of folders.
static const struct call varied_calls[] = {
    {SYS_getdents64, ACT_LIST, -1, 1, -1, "getdents64"},
    {SYS_clock_gettime, ACT_CLOCK, -1, 1, 0, "clock_gettime"},
    {SYS_gettimeofday, ACT_TIME_OF_DAY, -1, 0, -1, "gettimeofday"},
#if defined(__x86_64__)
    {SYS_time, ACT_TIME, -1, 0, -1, "time"},
    {SYS_stat, ACT_STAT, -1, 1, -1, "stat"},
    {SYS_lstat, ACT_STAT, -1, 1, -1, "lstat"},
#endif
    {SYS_fstat, ACT_STAT, -1, 1, -1, "fstat"},
    {SYS_newfstatat, ACT_STAT, -1, 2, -1, "newfstatat"},
    {SYS_statx, ACT_STATX, -1, 4, -1, "statx"},
};

#define COUNT(table) (sizeof(table) / sizeof *(table))

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
struct seen {
  int32_t number;
  uint32_t architecture;
};

static struct instruction instructions[1024];
static unsigned short count;

static void add(uint16_t code, uint32_t value, uint8_t if_true, uint8_t if_false) {
  instructions[count++] = (struct instruction){code, if_true, if_false, value};
}

// Those that may wait for others are cut short by signals, and need to be: of these the tracer hears
// by stops, which signals wait for.
bool is_notified(const struct call *call) {
  return call->act < ACT_ADDRESS || call->act > ACT_SOCKET_CALL;
}

static void add_calls(const struct call *calls, size_t length, uint32_t verdict) {
  for (size_t i = 0; i < length; i++) {
    add(JUMP_EQUAL, calls[i].number, 0, 1);
    add(RETURN, is_notified(&calls[i]) ? verdict : TRACE, 0, 0);
  }
}

// Calls that nobody here can follow. What is newer comes last: x32 has its numbers above as well.
static void add_refusals(void) {
  for (uint32_t ring = 425; ring <= 427; ring++) {
    add(JUMP_EQUAL, ring, 0, 1);
    add(RETURN, REFUSE | ENOSYS, 0, 0);
  }
  add(JUMP_NOT_BELOW, FIRST_UNKNOWN, 0, 1);
  add(RETURN, REFUSE | ENOSYS, 0, 0);
}

int install_filter(bool varying, enum telling telling) {
  uint32_t verdict = telling == BY_NOTIFICATION ? NOTIFY : TRACE;
  count = 0;
  add(LOAD_WORD, offsetof(struct seen, architecture), 0, 0);
  add(JUMP_EQUAL, ARCHITECTURE, 1, 0);
  unsigned short other = count;
  add(JUMP, 0, 0, 0);
  add(LOAD_WORD, offsetof(struct seen, number), 0, 0);
  if (varying) {
    add_calls(varied_calls, COUNT(varied_calls), verdict);
  } else {
    add_calls(own_calls, COUNT(own_calls), verdict);
    add_refusals();
  }
  add(RETURN, ALLOW, 0, 0);
  instructions[other].value = count - other - 1u;
#if defined(__x86_64__)
  add(JUMP_EQUAL, ARCH_I386, 1, 0);
  add(RETURN, varying ? ALLOW : KILL, 0, 0);
  add(LOAD_WORD, offsetof(struct seen, number), 0, 0);
  if (!varying) {
    add_calls(narrow_calls, COUNT(narrow_calls), verdict);
    add_refusals();
  }
  add(RETURN, ALLOW, 0, 0);
#else
  add(RETURN, varying ? ALLOW : KILL, 0, 0);
#endif
  const struct program program = {count, instructions};
  // Once heard of, a call is not cut short by a signal that its program has a handler for.
  unsigned flags = telling == BY_NOTIFICATION ? NEW_LISTENER | WAIT_KILLABLE : 0;
  return (int)syscall(SYS_seccomp, SET_FILTER, flags, &program);
}

bool is_narrow(uint32_t architecture) {
  return (architecture & WIDE_BIT) == 0;
}

static const struct call *find_in(const struct call *calls, size_t length, uint64_t number) {
  for (size_t i = 0; i < length; i++) {
    if (calls[i].number == number) return &calls[i];
  }
  return NULL;
}

const struct call *find_call(uint32_t architecture, uint64_t number, bool varying) {
  if (varying) return find_in(varied_calls, COUNT(varied_calls), number);
#if defined(__x86_64__)
  if (architecture == ARCH_I386) return find_in(narrow_calls, COUNT(narrow_calls), number);
#else
  (void)architecture;
#endif
  return find_in(own_calls, COUNT(own_calls), number);
}
