// Tries what no action may do, and prints each try with what came of it: `name ok` or `name ERRNO`.
// Compiled by sandbox-escapes.test.ts and run inside the sandbox, never outside.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *name, long result) {
  int error = errno;
  printf("%s %s\n", name, result >= 0 ? "ok" : strerrorname_np(error));
}

#define TRY(name, call) (errno = 0, say(name, (long)(call)))

static long in_child(int flags) {
  long child = syscall(SYS_clone, flags | 17, 0, 0, 0, 0);
  if (child == 0) _exit(0);
  if (child > 0) waitpid((pid_t)child, NULL, 0);
  return child;
}

static long trace_own_child(void) {
  pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  long traced = ptrace(PTRACE_ATTACH, child, 0, 0);
  int error = errno;
  kill(child, 9);
  waitpid(child, NULL, 0);
  errno = error;
  return traced;
}

static long connect_to(const char *path, int abstract) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path + abstract, path, sizeof address.sun_path - 2);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + abstract + strlen(path));
  return connect(fd, (struct sockaddr *)&address, length);
}

int main(int argc, char **argv) {
  if (argc == 3) {
    TRY("connect", connect_to(argv[2], argv[1][0] == 'a'));
    return 0;
  }
  struct { unsigned long flags, rest[10]; } clone3 = {.flags = CLONE_NEWUSER, .rest[3] = 17};
  char bytes[256] = {0};
  TRY("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
  TRY("remount", mount(NULL, "/usr", NULL, MS_REMOUNT | MS_BIND, NULL));
  TRY("umount", umount2("/proc", MNT_DETACH));
  TRY("pivot_root", syscall(SYS_pivot_root, "/tmp", "/tmp"));
  TRY("chroot", chroot("/tmp"));
  TRY("open_tree", syscall(428, AT_FDCWD, "/usr", 1));
  TRY("fsopen", syscall(430, "proc", 0));
  TRY("move_mount", syscall(429, AT_FDCWD, "/tmp", AT_FDCWD, "/var/tmp", 0));
  TRY("mount_setattr", syscall(442, AT_FDCWD, "/usr", 0, bytes, 32));
  TRY("open_by_handle_at", syscall(SYS_open_by_handle_at, AT_FDCWD, bytes, 0));
  TRY("unshare_user", unshare(CLONE_NEWUSER));
  TRY("unshare_time", unshare(0x80));
  TRY("unshare_files", unshare(CLONE_FILES));
  TRY("clone_user", in_child(CLONE_NEWUSER));
  TRY("clone_plain", in_child(0));
  TRY("clone3_user", syscall(435, &clone3, sizeof clone3));
  TRY("setns", setns(open("/proc/self/ns/mnt", O_RDONLY), 0));
  TRY("bpf", syscall(SYS_bpf, 5, bytes, 128));
  TRY("perf_event_open", syscall(SYS_perf_event_open, bytes, 0, -1, -1, 0));
  TRY("userfaultfd", syscall(SYS_userfaultfd, 0));
  TRY("io_uring_setup", syscall(425, 1, bytes));
  TRY("keyctl", syscall(SYS_keyctl, 0, -3, 1));
  TRY("add_key", syscall(SYS_add_key, "user", "k", "v", 1, -3));
  TRY("init_module", syscall(SYS_init_module, bytes, 1, ""));
  TRY("kexec_load", syscall(SYS_kexec_load, 0, 0, NULL, 0));
  TRY("reboot", syscall(SYS_reboot, 0xfee1dead, 672274793, 0, NULL));
  TRY("swapon", syscall(SYS_swapon, "/work/x", 0));
  TRY("settimeofday", syscall(SYS_settimeofday, bytes, NULL));
  TRY("clock_settime", syscall(SYS_clock_settime, 0, bytes));
  TRY("sethostname", sethostname("other", 5));
  TRY("syslog", syscall(SYS_syslog, 3, bytes, 100));
  TRY("vsock", socket(40, SOCK_STREAM, 0));
  TRY("alg", socket(38, SOCK_SEQPACKET, 0));
  TRY("packet", socket(AF_PACKET, SOCK_RAW, 0));
  TRY("raw", socket(AF_INET, SOCK_RAW, 1));
  TRY("unix", socket(AF_UNIX, SOCK_STREAM, 0));
  TRY("inet6", socket(AF_INET6, SOCK_DGRAM, 0));
  TRY("netlink", socket(AF_NETLINK, SOCK_RAW, 0));
  TRY("type_into_terminal", ioctl(0, TIOCSTI, "x"));
  TRY("type_high_bits", syscall(SYS_ioctl, 0, 0x100000000ul | TIOCSTI, "x"));
  TRY("block_device", mknod("disk", S_IFBLK | 0600, 0xfe00));
  TRY("character_device", mknod("memory", S_IFCHR | 0600, 0x0101));
  TRY("fifo", mknod("fifo", S_IFIFO | 0600, 0));
  TRY("trace_first", ptrace(PTRACE_ATTACH, 1, 0, 0));
  TRY("trace_own", trace_own_child());
  TRY("kill_first", kill(1, 9));
  TRY("root_of_first", open("/proc/1/root/etc/passwd", O_RDONLY));
  TRY("memory_of_first", open("/proc/1/mem", O_RDWR));
  TRY("priority", setpriority(0, 0, -5));
  return 0;
}
