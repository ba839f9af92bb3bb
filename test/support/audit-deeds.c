// What actions may do that an audit must see: each word is a deed, done in its turn. Compiled by the
// tests, statically and not. FILE is the second word, OTHER the third.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static const char *file, *other;

static void read_it(void) {
  int fd = open(file, O_RDONLY);
  char byte;
  if (fd >= 0 && read(fd, &byte, 1) >= 0) close(fd);
}

static void *in_thread(void *unused) {
  read_it();
  return unused;
}

static void by_thread(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, in_thread, NULL) == 0) pthread_join(thread, NULL);
}

// A daemon: of a session of its own, whose parents are gone. It is waited for by a pipe.
static void by_grandchild(void) {
  int ends[2];
  char byte;
  if (pipe(ends) != 0) return;
  if (fork() == 0) {
    setsid();
    if (fork() == 0) {
      usleep(50000);
      read_it();
      _exit(write(ends[1], "", 1) != 1);
    }
    _exit(0);
  }
  wait(NULL);
  close(ends[1]);
  if (read(ends[0], &byte, 1) != 1) exit(9);
}

static void by_vfork(void) {
  pid_t child = vfork();
  if (child == 0) {
    syscall(SYS_openat, AT_FDCWD, file, O_RDONLY);
    _exit(0);
  }
  waitpid(child, NULL, 0);
}

static void by_openat2(void) {
  struct {
    uint64_t flags, mode, resolve;
  } how = {O_RDONLY, 0, 0};
  syscall(437, AT_FDCWD, file, &how, sizeof how);
}

// In a folder that was opened before, by a name that ends where the memory does.
static void by_folder(void) {
  char folder[4096];
  snprintf(folder, sizeof folder, "%s", file);
  char *name = strrchr(folder, '/');
  *name++ = '\0';
  int at = open(folder, O_PATH | O_DIRECTORY);
  char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(page + 4096, 4096);
  char *end = page + 4096 - strlen(name) - 1;
  strcpy(end, name);
  openat(at, end, O_RDONLY);
}

#if defined(__x86_64__)
// A call of the 32-bit kind from a 64-bit program.
static void by_old_call(void) {
  char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  strcpy(low, file);
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(5), "b"(low), "c"(0), "d"(0) : "memory");
}
#endif

static void by_exec(void) {
  if (fork() == 0) {
    execl(file, file, (char *)NULL);
    _exit(1);
  }
  wait(NULL);
}

// A thread that starts a program becomes the process.
static void *exec_in_thread(void *unused) {
  execl("/bin/cat", "cat", file, (char *)NULL);
  return unused;
}

static void by_thread_exec(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, exec_in_thread, NULL) == 0) pthread_join(thread, NULL);
}

// Stopped and continued, as job control does: the read comes after.
static void by_stopped_child(void) {
  int status;
  pid_t child = fork();
  if (child == 0) {
    raise(SIGSTOP);
    read_it();
    _exit(0);
  }
  if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status)) exit(6);
  kill(child, SIGCONT);
  if (waitpid(child, &status, 0) != child || !WIFEXITED(status)) exit(5);
}

static void list_it(void) {
  DIR *list = opendir(file);
  for (struct dirent *entry; list != NULL && (entry = readdir(list)) != NULL;) puts(entry->d_name);
}

static void speak(int kind, int port) {
  int fd = socket(AF_INET, kind, 0);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  inet_pton(AF_INET, "192.0.2.7", &to.sin_addr);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  struct iovec part = {"x", 1};
  struct msghdr head = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &part, .msg_iovlen = 1};
  struct mmsghdr heads = {.msg_hdr = head};
  if (port == 1) connect(fd, (struct sockaddr *)&to, sizeof to);
  if (port == 2) sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to);
  if (port == 3) sendmsg(fd, &head, 0);
  if (port == 4) sendmmsg(fd, &heads, 1, 0);
}

// As a resolver does it: a question on a connected socket.
static void ask_for_name(void) {
  static const char question[] =
      "\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07" "builder\x07" "example\0\0\x01\0\x01";
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(53)};
  inet_pton(AF_INET, "192.0.2.53", &to.sin_addr);
  connect(fd, (struct sockaddr *)&to, sizeof to);
  struct iovec part = {(void *)question, sizeof question - 1};
  struct mmsghdr heads = {.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};
  sendmmsg(fd, &heads, 1, 0);
  send(fd, question, sizeof question - 1, 0);
}

static void speak_abstract(void) {
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "\0audit-deeds"};
  connect(fd, (struct sockaddr *)&to, sizeof(sa_family_t) + 12);
}

static void try_ring(void) {
  char parameters[256] = {0};
  long result = syscall(425, 4, parameters);
  puts(result < 0 && errno == ENOSYS ? "no ring" : "a ring");
}

static void change_all(void) {
  struct timespec times[2] = {{1, 0}, {1, 0}};
  utimensat(AT_FDCWD, file, times, 0);
  chmod(file, 0600);
  setxattr(file, "user.audit", "1", 1, 0);
  if (truncate(file, 1) != 0) exit(8);
}

static volatile sig_atomic_t rings;

static void on_ring(int number) {
  rings += number == SIGALRM;
}

// Signals whose handler wants nothing repeated end what waits for others, and no look at a disk.
static void by_alarms(void) {
  struct sigaction action = {.sa_handler = on_ring};
  struct itimerval often = {{0, 200}, {0, 200}};
  int ends[2], fd = 0;
  char byte;
  if (pipe(ends) != 0 || sigaction(SIGALRM, &action, NULL) != 0) exit(6);
  setitimer(ITIMER_REAL, &often, NULL);
  while (rings < 300 && (fd = open(file, O_RDONLY)) >= 0) close(fd);
  if (fd < 0) exit(errno == EINTR ? 5 : 6);
  if (read(ends[0], &byte, 1) != -1 || errno != EINTR) exit(4);
  setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
}

// Becomes another program below a filter that leaves no place for a listener.
static void below_listener(char **words) {
  struct sock_filter allow = {BPF_RET, 0, 0, SECCOMP_RET_ALLOW};
  struct sock_fprog filter = {1, &allow};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  int fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
  if (fd < 0) exit(5);
  execv(words[0], words);
  exit(6);
}

static void do_deed(const char *deed) {
  struct stat found;
  char text[4096];
  if (strcmp(deed, "read") == 0) read_it();
  if (strcmp(deed, "thread") == 0) by_thread();
  if (strcmp(deed, "grandchild") == 0) by_grandchild();
  if (strcmp(deed, "vfork") == 0) by_vfork();
  if (strcmp(deed, "thread-exec") == 0) by_thread_exec();
  if (strcmp(deed, "stopped") == 0) by_stopped_child();
  if (strcmp(deed, "openat2") == 0) by_openat2();
  if (strcmp(deed, "folder") == 0) by_folder();
#if defined(__x86_64__)
  if (strcmp(deed, "old") == 0) by_old_call();
#endif
  if (strcmp(deed, "alarms") == 0) by_alarms();
  if (strcmp(deed, "exec") == 0) by_exec();
  if (strcmp(deed, "list") == 0) list_it();
  if (strcmp(deed, "stat") == 0) stat(file, &found);
  if (strcmp(deed, "statx") == 0) syscall(SYS_statx, AT_FDCWD, file, 0, 0x7ff, text);
  if (strcmp(deed, "access") == 0) faccessat(AT_FDCWD, file, R_OK, AT_EACCESS);
  if (strcmp(deed, "readlink") == 0) readlink(file, text, sizeof text);
  if (strcmp(deed, "xattr") == 0) getxattr(file, "user.audit", text, sizeof text);
  if (strcmp(deed, "change") == 0) change_all();
  if (strcmp(deed, "append") == 0) close(open(file, O_WRONLY | O_APPEND));
  if (strcmp(deed, "create") == 0) close(open(file, O_WRONLY | O_CREAT, 0644));
  if (strcmp(deed, "unlink") == 0) unlink(file);
  if (strcmp(deed, "rename") == 0) rename(file, other);
  if (strcmp(deed, "link") == 0 && link(file, other) != 0) exit(7);
  if (strcmp(deed, "symlink") == 0 && symlink("anywhere", file) != 0) exit(7);
  if (strcmp(deed, "mkdir") == 0) mkdir(file, 0755);
  if (strcmp(deed, "tcp") == 0) speak(SOCK_STREAM, 1);
  if (strcmp(deed, "sendto") == 0) speak(SOCK_DGRAM, 2);
  if (strcmp(deed, "sendmsg") == 0) speak(SOCK_DGRAM, 3);
  if (strcmp(deed, "sendmmsg") == 0) speak(SOCK_DGRAM, 4);
  if (strcmp(deed, "name") == 0) ask_for_name();
  if (strcmp(deed, "abstract") == 0) speak_abstract();
  if (strcmp(deed, "ring") == 0) try_ring();
  if (strcmp(deed, "unshare") == 0) unshare(CLONE_FS);
  if (strcmp(deed, "newer") == 0) puts(syscall(600) < 0 && errno == ENOSYS ? "unknown" : "known");
  if (strcmp(deed, "daemon") == 0 && fork() == 0) {
    setsid();
    for (;;) pause();
  }
  if (strcmp(deed, "wait") == 0) pause();
  if (strcmp(deed, "die") == 0) kill(getpid(), SIGUSR1);
}

int main(int count, char **words) {
  file = count > 2 ? words[2] : "";
  other = count > 3 ? words[3] : "";
  if (strcmp(words[1], "below-listener") == 0) below_listener(words + 2);
  for (char *deed = strtok(words[1], ","); deed != NULL; deed = strtok(NULL, ",")) do_deed(deed);
  return 0;
}
