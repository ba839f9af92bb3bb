// Starting the command and waiting for it, as the first process of its process namespace.

#include "sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
// How often the tree is measured.
#define SAMPLE_MS 50
// Memory is told exactly where the quick sum is too much, for at most one part in so many of time.
#define EXACT_SHARE 10

static const char *path_variable(char **env) {
  for (; *env != NULL; env++) {
    if (strncmp(*env, "PATH=", 5) == 0) return *env + 5;
  }
  return DEFAULT_PATH;
}

static void try_exec(const char *path, const struct spec *spec) {
  execve(path, spec->argv, spec->env);
  if (errno != ENOEXEC) return;
  // A script without "#!" belongs to the shell (POSIX, execvp). argv has a spare slot in front.
  char **argv = spec->argv - 1;
  char *name = argv[1];
  argv[0] = (char *)"/bin/sh";
  argv[1] = (char *)path;
  execve("/bin/sh", argv, spec->env);
  argv[1] = name;
}

// Looks along PATH; a forbidden file is remembered but does not end the search.
static void search_exec(const struct spec *spec) {
  const char *name = spec->argv[0];
  const char *at = path_variable(spec->env);
  char *path = malloc(strlen(at) + strlen(name) + 3);
  int error = ENOENT;
  while (path != NULL && name[0] != '\0') {
    size_t length = strcspn(at, ":");
    sprintf(path, "%.*s%s%s", (int)length, at, length == 0 ? "./" : "/", name);
    try_exec(path, spec);
    if (errno != ENOENT && errno != ENOTDIR) error = errno;
    if (errno == E2BIG || at[length] == '\0') break;
    at += length + 1;
  }
  errno = error;
}

static _Noreturn void become_command(const struct spec *spec) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  setsid();
  // A session of its own, with the terminal that it was given; where that is none, this fails.
  if (spec->interactive) ioctl(0, TIOCSCTTY, 0);
  lower_limits(spec);
  if (strchr(spec->argv[0], '/') != NULL) try_exec(spec->argv[0], spec);
  else search_exec(spec);
  int error = errno;
  dprintf(2, "builder: %s: %s\n", spec->argv[0], error == ENOENT ? "not found" : strerror(error));
  _exit(error == ENOENT || error == ENOTDIR ? 127 : 126);
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void read_text(int proc, const char *pid, const char *file, char *text, size_t size) {
  char path[300];
  snprintf(path, sizeof path, "%s/%s", pid, file);
  int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
  ssize_t got = fd < 0 ? 0 : read(fd, text, size - 1);
  if (fd >= 0) close(fd);
  text[got < 0 ? 0 : got] = '\0';
}

// The number after `key` in a file of "key: number" lines; 0 if absent.
static uint64_t counted(const char *text, const char *key) {
  const char *at = strstr(text, key);
  return at == NULL ? 0 : strtoull(at + strlen(key), NULL, 10);
}

// Shared pages count whole, which is quick to tell.
static uint64_t resident_bytes(int proc, const char *pid) {
  char text[128];
  read_text(proc, pid, "statm", text, sizeof text);
  char *second = strchr(text, ' ');
  return second == NULL ? 0 : strtoull(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

// Each shared page counts by the part that is this process's; the kernel walks all pages for it.
static uint64_t proportional_bytes(int proc, const char *pid) {
  char text[1024];
  read_text(proc, pid, "smaps_rollup", text, sizeof text);
  uint64_t bytes = counted(text, "\nPss:") * 1024;
  return bytes == 0 ? resident_bytes(proc, pid) : bytes;
}

// Sums up the tree and its temporary files, which are in memory, too.
static void measure(DIR *proc, uint64_t (*bytes_of)(int, const char *), uint64_t *bytes,
                    uint64_t *pids) {
  struct dirent *entry;
  *bytes = tmp_bytes();
  *pids = 0;
  rewinddir(proc);
  while ((entry = readdir(proc)) != NULL) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    *bytes += bytes_of(dirfd(proc), entry->d_name);
    *pids += 1;
  }
}

// Counts what all have read and written who were waited for, which is all of them by now.
static void count_io(int io, struct report *report) {
  char text[512];
  ssize_t got = io < 0 ? 0 : pread(io, text, sizeof text - 1, 0);
  text[got < 0 ? 0 : got] = '\0';
  report->read_bytes = counted(text, "rchar: ");
  report->written_bytes = counted(text, "wchar: ");
}

// Ends whatever the command left running, and reaps it here: the time of processes that the
// kernel ends after us is counted nowhere.
static _Noreturn void finish(int reports, int io, struct report *report) {
  kill(-1, SIGKILL);
  while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) continue;
  count_io(io, report);
  send(reports, report, sizeof *report, MSG_NOSIGNAL);
  _exit(0);
}

// Where no cgroup counts, or none remembers.
static char measure_processes(const struct spec *spec, DIR *proc, struct report *report) {
  static int64_t exact_ms;
  uint64_t bytes, pids;
  measure(proc, resident_bytes, &bytes, &pids);
  // We are one of them ourselves.
  if (!cgroup_has_pids(spec) && pids > spec->pids + 1) return OVER_PIDS;
  if (bytes > spec->memory_bytes) {
    int64_t start_ms = now_ms();
    if (start_ms < exact_ms) return 0;
    measure(proc, proportional_bytes, &bytes, &pids);
    exact_ms = start_ms + EXACT_SHARE * (now_ms() - start_ms);
  }
  if (bytes > report->peak_bytes) report->peak_bytes = bytes;
  return !cgroup_has_memory(spec) && bytes > spec->memory_bytes ? OVER_MEMORY : 0;
}

static char passed_limit(const struct spec *spec, DIR *proc, struct measure *measure,
                         struct report *report) {
  char over = proc == NULL ? 0 : measure_processes(spec, proc, report);
  if (over == 0) over = measure_log(spec);
  if (over == 0) over = measure_tmp();
  return over == 0 ? measure_tree(measure, spec, false) : over;
}

// What the largest of all processes that ended so far held at once.
static uint64_t largest_ended_bytes(void) {
  struct rusage ended;
  return getrusage(RUSAGE_CHILDREN, &ended) == 0 ? (uint64_t)ended.ru_maxrss * 1024 : 0;
}

// A process may grow from within its limit to the last resort of lower_limits() between two looks,
// is refused more memory there, and fails by itself.
static char measure_ended(const struct spec *spec) {
  return !cgroup_has_memory(spec) && largest_ended_bytes() > spec->memory_bytes ? OVER_MEMORY : 0;
}

// Limits that were passed since the last look. A full /tmp and full memory are one only where it
// was too much for the command; what wrote to deleted files has ended.
static void look_once_more(const struct spec *spec, struct measure *measure,
                           struct report *report) {
  char over = measure_log(spec);
  if (over == 0) over = measure_tree(measure, spec, true);
  if (over == 0 && report->value != 0) over = measure_tmp();
  if (over == 0 && report->value != 0) over = measure_ended(spec);
  if (over != 0) report->kind = over;
}

// Reaps all who died. True once the command is among them.
static bool has_ended(pid_t command, struct report *report) {
  int status;
  pid_t dead;
  while ((dead = waitpid(-1, &status, WNOHANG)) > 0) {
    if (dead != command) continue;
    report->kind = ENDED;
    report->value = status;
    return true;
  }
  return false;
}

_Noreturn void run_command(const struct spec *spec, const struct cgroups *groups, int reports,
                           int io) {
  struct report report = {0};
  struct measure tree;
  sigset_t awaited;
  sigemptyset(&awaited);
  sigaddset(&awaited, SIGCHLD);
  sigaddset(&awaited, SIGTERM);
  sigprocmask(SIG_BLOCK, &awaited, NULL);
  bool counted = cgroup_has_memory(spec) && cgroup_has_pids(spec) && groups->peak >= 0;
  DIR *proc = counted ? NULL : opendir("/proc");
  if (!counted && proc == NULL) report_failure(reports, "open /proc");
  begin_measure(&tree, spec);
  pid_t command = fork();
  if (command < 0) report_failure(reports, "fork");
  if (command == 0) become_command(spec);
  // Measured at fixed times: a tree in which many die must not put it off for ever.
  int64_t sample_ms = now_ms() + SAMPLE_MS;
  while (report.kind == 0) {
    siginfo_t from;
    int64_t left_ms = sample_ms - now_ms();
    const struct timespec pause = {.tv_nsec = left_ms > 0 ? left_ms * 1000000 : 0};
    int woken = sigtimedwait(&awaited, &from, &pause);
    if (woken == SIGCHLD && has_ended(command, &report)) look_once_more(spec, &tree, &report);
    // A sender outside the namespace has no process id here: the supervisor, and nobody else.
    else if (woken == SIGTERM && from.si_pid == 0) report.kind = ASKED_TO_END;
    if (report.kind != 0 || now_ms() < sample_ms) continue;
    report.kind = passed_limit(spec, proc, &tree, &report);
    sample_ms = now_ms() + SAMPLE_MS;
  }
  finish(reports, io, &report);
}
