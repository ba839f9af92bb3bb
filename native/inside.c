// The first process inside the namespaces: it builds the action's view of the machine, gives up
// every privilege, and then starts the command. namespaces(7), mount_setattr(2), pivot_root(2).

#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// System calls since 424 have one number on all architectures. Constants from linux/mount.h,
// linux/capability.h, linux/securebits.h and linux/keyctl.h.
#define CALL_OPEN_TREE 428
#define CALL_MOVE_MOUNT 429
#define CALL_CLOSE_RANGE 436
#define CALL_MOUNT_SETATTR 442
#define TREE_CLONE 1
#define TREE_RECURSIVE 0x8000
#define FROM_EMPTY_PATH 0x00000004
#define ATTR_RDONLY 0x1
#define ATTR_NOSUID 0x2
#define ATTR_NODEV 0x4
#define ATTR_SYSTEM (ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV)
#define CAPABILITY_VERSION_3 0x20080522
#define SECURE_BITS_LOCKED 0xef // all but KEEP_CAPS, each with its lock
#define JOIN_SESSION_KEYRING 1
// Files, folders and links that build_root makes, and a few for what a machine may have more.
#define ROOT_FILES 64

struct mount_attributes {
  uint64_t set, clear, propagation, user_namespace;
};

static int reports_fd;

_Noreturn void report_failure(int reports, const char *step) {
  struct report report = {.kind = SETUP_FAILED, .value = errno};
  snprintf(report.step, sizeof report.step, "%s", step);
  send(reports, &report, sizeof report, MSG_NOSIGNAL);
  _exit(1);
}

static void must(bool ok, const char *step) {
  if (!ok) report_failure(reports_fd, step);
}

static bool restrict_mount(int at, const char *path, int flags, uint64_t attributes) {
  struct mount_attributes wanted = {.set = attributes};
  return syscall(CALL_MOUNT_SETATTR, at, path, flags, &wanted, sizeof wanted) == 0;
}

// One folder of the system, read-only with all mounts below it. Symlinks (such as /bin on a
// merged system) stay symlinks.
static void show_system(const char *path) {
  struct stat found;
  char target[PATH_MAX];
  const char *here = path + 1;
  if (lstat(path, &found) != 0) return;
  if (S_ISLNK(found.st_mode)) {
    ssize_t length = readlink(path, target, sizeof target - 1);
    must(length > 0, path);
    target[length] = '\0';
    must(symlink(target, here) == 0, path);
    return;
  }
  char *slash = strrchr(path, '/');
  if (slash != path) {
    snprintf(target, sizeof target, "%.*s", (int)(slash - here), here);
    must(mkdir(target, 0755) == 0, path);
  }
  must(mkdir(here, 0755) == 0, path);
  must(mount(path, here, NULL, MS_BIND | MS_REC, NULL) == 0, path);
  must(restrict_mount(AT_FDCWD, here, TREE_RECURSIVE, ATTR_SYSTEM), path);
}

static bool make_file(const char *path) {
  int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  return fd >= 0 && close(fd) == 0;
}

static void show_device(const char *path) {
  if (access(path, F_OK) != 0) return; // some containers have no tty
  must(make_file(path + 1), path);
  must(mount(path, path + 1, NULL, MS_BIND, NULL) == 0, path);
}

static void show_devices(void) {
  static const char *const devices[] = {"/dev/null",   "/dev/zero",    "/dev/full",
                                        "/dev/random", "/dev/urandom", "/dev/tty"};
  must(mkdir("dev", 0755) == 0 && mkdir("dev/pts", 0755) == 0, "/dev");
  for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) show_device(devices[i]);
  must(symlink("/proc/self/fd", "dev/fd") == 0 && symlink("/proc/self/fd/0", "dev/stdin") == 0 &&
           symlink("/proc/self/fd/1", "dev/stdout") == 0 &&
           symlink("/proc/self/fd/2", "dev/stderr") == 0 && symlink("pts/ptmx", "dev/ptmx") == 0,
       "/dev");
  must(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
             "newinstance,ptmxmode=0666,mode=620") == 0,
       "/dev/pts");
}

// A folder of the in-memory root that stays writable when the root itself becomes read-only.
static void show_writable(const char *path) {
  must(mkdir(path, 0) == 0 && chmod(path, 01777) == 0, path);
  must(mount(path, path, NULL, MS_BIND, NULL) == 0, path);
}

// With the host's network comes its resolver, whose configuration often lies outside /etc.
static void show_resolver(void) {
  char path[PATH_MAX];
  if (realpath("/etc/resolv.conf", path) == NULL || strncmp(path, "/run/", 5) != 0) return;
  for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    must(mkdir(path + 1, 0755) == 0 || errno == EEXIST, "/etc/resolv.conf");
    *slash = '/';
  }
  must(make_file(path + 1), "/etc/resolv.conf");
  must(mount(path, path + 1, NULL, MS_BIND, NULL) == 0, "/etc/resolv.conf");
  must(restrict_mount(AT_FDCWD, path + 1, 0, ATTR_SYSTEM), "/etc/resolv.conf");
}

// What in /proc is of the whole machine and can be written, or tells of its memory, keys and other
// users. Most of it only root may touch, which no action is.
static void hide_machine(void) {
  static const char *const files[] = {"kcore",      "kmsg",          "keys",        "key-users",
                                      "kallsyms",   "sysrq-trigger", "timer_list",  "sched_debug",
                                      "interrupts", "latency_stats", "vmallocinfo", "modules"};
  static const char *const folders[] = {"acpi", "asound", "bus", "fs", "irq", "scsi"};
  char path[32];
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    snprintf(path, sizeof path, "proc/%s", files[i]);
    must(mount("/dev/null", path, NULL, MS_BIND, NULL) == 0 || errno == ENOENT, path);
  }
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
    snprintf(path, sizeof path, "proc/%s", folders[i]);
    must(mount("run", path, NULL, MS_BIND, NULL) == 0 || errno == ENOENT, path);
  }
}

static void build_root(const struct spec *spec) {
  // Of Nix the store alone: beside it is the socket of a service that builds for whoever asks.
  static const char *const system_folders[] = {"/usr",   "/bin",    "/sbin", "/lib", "/lib32",
                                               "/lib64", "/libx32", "/etc",  "/opt", "/nix/store"};
  char options[128];
  must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "mount /");
  // Taken before anything is mounted over it. The supervisor left us in the exec root.
  const int tree_flags = TREE_CLONE | TREE_RECURSIVE | O_CLOEXEC;
  int exec_root = (int)syscall(CALL_OPEN_TREE, AT_FDCWD, ".", tree_flags);
  must(exec_root >= 0, "open_tree");
  const uint64_t harmless = ATTR_NOSUID | ATTR_NODEV;
  must(restrict_mount(exec_root, "", AT_EMPTY_PATH | TREE_RECURSIVE, harmless), "mount_setattr");
  // The folders of the root are files of it, too: the action gets what is left.
  snprintf(options, sizeof options, "mode=0755,nr_inodes=%" PRIu64 ",size=%" PRIu64,
           spec->tmp_files + ROOT_FILES, spec->tmp_bytes);
  must(mount("builder", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, options) == 0, "mount tmpfs");
  must(chdir("/tmp") == 0, "mount tmpfs");
  for (size_t i = 0; i < sizeof system_folders / sizeof *system_folders; i++) {
    show_system(system_folders[i]);
  }
  show_devices();
  must(mkdir("var", 0755) == 0 && mkdir("run", 0755) == 0 && mkdir("proc", 0755) == 0, "mkdir");
  show_writable("tmp");
  show_writable("var/tmp");
  show_writable("dev/shm");
  must(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0, "mount proc");
  hide_machine();
  must(mkdir("work", 0755) == 0, "/work");
  must(syscall(CALL_MOVE_MOUNT, exec_root, "", AT_FDCWD, "work", FROM_EMPTY_PATH) == 0, "/work");
  if (spec->network) show_resolver();
  must(restrict_mount(AT_FDCWD, ".", 0, ATTR_SYSTEM), "mount_setattr");
  must(syscall(SYS_pivot_root, ".", ".") == 0, "pivot_root");
  must(umount2(".", MNT_DETACH) == 0 && chdir("/") == 0, "umount");
}

static void raise_loopback(void) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  must(fd >= 0, "loopback");
  struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING};
  memcpy(request.ifr_name, "lo", 3);
  must(ioctl(fd, SIOCSIFFLAGS, &request) == 0, "loopback");
  close(fd);
}

// Lowers a limit, never asking for more than we already may have.
static void lower(int resource, uint64_t soft, uint64_t hard) {
  struct rlimit limit;
  must(getrlimit(resource, &limit) == 0, "rlimit");
  if (hard < limit.rlim_max) limit.rlim_max = hard;
  limit.rlim_cur = soft < limit.rlim_max ? soft : limit.rlim_max;
  must(setrlimit(resource, &limit) == 0, "rlimit");
}

void lower_limits(const struct spec *spec) {
  lower(RLIMIT_FSIZE, spec->file_bytes, spec->file_bytes);
  lower(RLIMIT_NOFILE, 4096, spec->open_files);
  // One byte, not none: the kernel takes 1 as "no dump" for files and for pipes alike (core(5)).
  lower(RLIMIT_CORE, 1, 1);
  // Data and not address space: Java, Go and sanitizers reserve far more than they ever touch.
  // Twice, as a last resort: command.c measures what is truly used, and can say what it stopped.
  if (!cgroup_has_memory(spec)) lower(RLIMIT_DATA, 2 * spec->memory_bytes, 2 * spec->memory_bytes);
  // Counted per user namespace, so other actions do not count. One more for this process, and one
  // over the limit by which command.c sees that it was passed.
  if (!cgroup_has_pids(spec)) lower(RLIMIT_NPROC, spec->pids + 2, spec->pids + 2);
}

// Where no cgroup shares out time, whole cores do: as many of ours as hold the limit, from anywhere
// among them, so that actions do not all meet on the first.
static void keep_to_cores(const struct spec *spec) {
  cpu_set_t ours, chosen;
  if (sched_getaffinity(0, sizeof ours, &ours) != 0) return; // more than 1024 cores
  int count = CPU_COUNT(&ours);
  uint64_t wanted = (spec->cpu_millis + 999) / 1000;
  if (wanted >= (uint64_t)count) return;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  int skip = (int)(now.tv_nsec / 1000 % count);
  CPU_ZERO(&chosen);
  for (int core = 0; wanted > 0; core = (core + 1) % CPU_SETSIZE) {
    if (!CPU_ISSET(core, &ours) || skip-- > 0) continue;
    CPU_SET(core, &chosen);
    wanted--;
  }
  must(sched_setaffinity(0, sizeof chosen, &chosen) == 0, "cores");
}

static void drop_privileges(const struct spec *spec) {
  struct {
    uint32_t version;
    int pid;
  } header = {.version = CAPABILITY_VERSION_3};
  struct {
    uint32_t effective, permitted, inheritable;
  } none[2] = {{0}};
  for (int capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0;) capability++;
  must(errno == EINVAL, "bounding set");
  must(prctl(PR_SET_SECUREBITS, SECURE_BITS_LOCKED, 0, 0, 0) == 0, "securebits");
  if (spec->host_id != 0) {
    must(setresgid(INNER_ID, INNER_ID, INNER_ID) == 0, "setresgid");
    must(setresuid(INNER_ID, INNER_ID, INNER_ID) == 0, "setresuid");
  }
  must(syscall(SYS_capset, &header, none) == 0, "capset");
  must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
  // Abstract sockets belong to the network namespace, and services of the host trust who comes by
  // them. Kernels before 6.12 cannot tell them apart: docs/features/hermetic.md says so.
  if (spec->network) leave_abstract_sockets();
  must(filter_calls(), "seccomp");
  // Of the same user as the command from here on: not to be traced or read by it.
  must(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0, "dumpable");
}

// Dies with the supervisor, and with us the whole tree. The kernel forgets this wish when
// credentials change, so it comes last; a supervisor that died before it has closed the socket.
static void die_with_supervisor(void) {
  must(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0, "pdeathsig");
  struct pollfd closed = {.fd = reports_fd, .events = POLLRDHUP};
  if (poll(&closed, 1, 0) > 0) _exit(1);
}

_Noreturn void run_inside(const struct spec *spec, const struct cgroups *groups, int reports) {
  char go;
  reports_fd = reports;
  if (recv(reports, &go, 1, 0) != 1) _exit(1);
  must(enter_cgroups(groups), "cgroup");
  // The namespace that hides the host's cgroup names; old kernels lack it and nothing needs it.
  unshare(CLONE_NEWCGROUP);
  umask(0);
  must(spec->host_id == 0 || setgroups(0, NULL) == 0, "setgroups");
  must(sethostname("builder", 7) == 0 && setdomainname("(none)", 6) == 0, "hostname");
  if (!spec->network) raise_loopback();
  build_root(spec);
  must(dup2(reports, CONTROL_FD) == CONTROL_FD, "dup");
  reports_fd = CONTROL_FD;
  must(fcntl(reports_fd, F_SETFD, FD_CLOEXEC) == 0, "fcntl");
  must(syscall(CALL_CLOSE_RANGE, CONTROL_FD + 1, ~0u, 0) == 0, "close_range");
  // Kernels without keyrings have none to hide.
  syscall(SYS_keyctl, JOIN_SESSION_KEYRING, NULL);
  // Once without privileges we may read it, but not open it: we are not to be looked into.
  int io = open("/proc/self/io", O_RDONLY | O_CLOEXEC);
  if (!groups->limits_cpu) keep_to_cores(spec);
  drop_privileges(spec);
  die_with_supervisor();
  umask(0022);
  must(chdir("/work") == 0, "chdir");
  must(spec->working_directory[0] == '\0' || chdir(spec->working_directory) == 0, "chdir");
  run_command(spec, groups, reports_fd, io);
}
