// The supervisor of one action. It stays outside the namespaces, next to the process that started
// it, and outlives that process: whatever dies, it (or the kernel, if the supervisor itself is
// killed) ends the whole tree, and what the action left on the machine goes.
//
// Protocol on descriptor 3, a socket: in comes the specification (spec.c); then any byte means
// "cancel" and the end of the stream means "the caller is dead". Out goes one line of JSON.

#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// From linux/sched.h, whose headers a musl tool chain does not have.
#define NEW_CGROUP_INTO 0x200000000ULL
#define WITH_PIDFD 0x00001000ULL
#ifndef SYS_clone3
#define SYS_clone3 435
#endif

// How long the first process inside may take to end its tree before it is killed.
#define ASKED_US 1000000

// How often to look at a counter that wakes nobody.
#define LOOK_MS 100

struct clone_request {
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
  uint64_t set_tid, set_tid_size, cgroup;
};

// Why the supervisor killed the tree, or what the first process inside said.
struct outcome {
  const char *limit;
  bool cancelled;
  bool orphaned;
  bool ended;
  struct report report;
  uint64_t wall_us;
  uint64_t peak_bytes;
  struct rusage usage;
  uint64_t user_us, system_us;
};

static uint64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t time_us(struct timeval time) {
  return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

static void answer(const char *line, int length) {
  for (int done = 0; done < length;) {
    ssize_t sent = send(CONTROL_FD, line + done, (size_t)(length - done), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return; // nobody is left to hear it
    done += (int)sent;
  }
}

static void fail(struct outcome *outcome, const char *step) {
  outcome->ended = true;
  outcome->report = (struct report){.kind = SETUP_FAILED, .value = errno};
  snprintf(outcome->report.step, sizeof outcome->report.step, "%s", step);
}

static void keep_off_signals(void) {
  // The terminal's Ctrl-C is for the caller, who then closes the socket. Blocked, not ignored: the
  // first process inside inherits that, and hears SIGTERM when it is ready to.
  sigset_t kept_off;
  sigemptyset(&kept_off);
  const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaddset(&kept_off, signals[i]);
  sigprocmask(SIG_BLOCK, &kept_off, NULL);
  setsid();
}

static int open_output(const char *path, const struct spec *spec) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
  // Owned by the action, so that it may open /dev/stdout by name.
  if (fd >= 0 && spec->host_id != 0 && fchown(fd, spec->host_id, spec->host_id) != 0) return -1;
  return fd;
}

// Puts the action's standard descriptors in our own 0, 1 and 2; the child is born with them.
static const char *redirect(const struct spec *spec) {
  int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (in < 0 || dup2(in, 0) < 0) return "stdin";
  int out = open_output(spec->stdout_path, spec);
  if (out < 0 || dup2(out, 1) < 0) return "stdout";
  int err = open_output(spec->stderr_path, spec);
  if (err < 0 || dup2(err, 2) < 0) return "stderr";
  return NULL;
}

static const char *prepare(const struct spec *spec, struct cgroups *groups) {
  const char *step = spec->interactive ? NULL : redirect(spec);
  if (step != NULL) return step;
  if (spec->host_id != 0 && !chown_folders(spec->exec_root, spec->host_id)) return "chown";
  // The child finds the exec root as its working directory: the kernel carries that over into the
  // new mount namespace, even below folders which the child itself may not enter.
  if (chdir(spec->exec_root) != 0) return "execRoot";
  if (!open_cgroups(groups, spec)) return "cgroup";
  return NULL;
}

static bool write_map(pid_t child, const char *file, const char *text) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", (int)child, file);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  bool ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
  int error = errno;
  close(fd);
  errno = error;
  return ok;
}

// As root: inner root is root while it builds the namespace, the action is a user who owns
// nothing on this machine. As anyone else there is only oneself to map.
static bool write_maps(const struct spec *spec, pid_t child) {
  char users[64], groups[64];
  if (spec->host_id != 0) {
    snprintf(users, sizeof users, "0 0 1\n%d %u 1\n", INNER_ID, spec->host_id);
    memcpy(groups, users, sizeof users);
  } else {
    snprintf(users, sizeof users, "%d %u 1\n", INNER_ID, (unsigned)geteuid());
    snprintf(groups, sizeof groups, "%d %u 1\n", INNER_ID, (unsigned)getegid());
    if (!write_map(child, "setgroups", "deny")) return false;
  }
  return write_map(child, "uid_map", users) && write_map(child, "gid_map", groups);
}

static pid_t start_inside(const struct spec *spec, const struct cgroups *groups, int reports[2],
                          int *pidfd) {
  struct clone_request request = {
      .flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
               WITH_PIDFD,
      .pidfd = (uint64_t)(uintptr_t)pidfd,
      .exit_signal = SIGCHLD,
  };
  if (!spec->network) request.flags |= CLONE_NEWNET;
  if (groups->clone_into >= 0) {
    request.flags |= NEW_CGROUP_INTO;
    request.cgroup = (uint64_t)groups->clone_into;
  }
  pid_t child = (pid_t)syscall(SYS_clone3, &request, sizeof request);
  if (child == 0) {
    close(reports[0]);
    run_inside(spec, groups, reports[1]);
  }
  return child;
}

static int until_ms(uint64_t deadline_us, uint64_t at_most_ms) {
  uint64_t now = now_us();
  if (now >= deadline_us) return 0;
  uint64_t ms = (deadline_us - now) / 1000 + 1;
  return (int)(ms > at_most_ms ? at_most_ms : ms);
}

// A word from the caller is "cancel"; silence for good means that the caller is dead.
static void hear(struct pollfd *control, struct outcome *outcome) {
  char byte;
  outcome->cancelled = true;
  if (read(CONTROL_FD, &byte, 1) > 0) return;
  outcome->orphaned = true;
  control->fd = -1;
}

// Looks at what woke us. True where the tree has to die now.
static bool is_over(struct pollfd *waits, const struct cgroups *groups, uint64_t deadline_us,
                    struct outcome *outcome) {
  if (waits[1].revents != 0) {
    hear(&waits[1], outcome);
    return true;
  }
  if (waits[2].revents != 0 && cgroup_ran_out_of_memory(groups)) outcome->limit = "memory";
  else if (cgroup_refused_fork(groups)) outcome->limit = "pids";
  else if (now_us() >= deadline_us) outcome->limit = "timeout";
  return outcome->limit != NULL;
}

static uint64_t larger(uint64_t one, uint64_t other) { return one > other ? one : other; }

static uint64_t peak_bytes(const struct cgroups *groups, const struct spec *spec,
                           const struct outcome *outcome) {
  uint64_t counted = cgroup_peak_bytes(groups);
  if (counted != 0) return counted;
  // The kernel ended it at its limit, between two looks.
  if (cgroup_ran_out_of_memory(groups)) return spec->memory_bytes;
  return larger((uint64_t)outcome->usage.ru_maxrss * 1024, outcome->report.peak_bytes);
}

// Waits for the end of the first process inside. It is asked to end its tree first, so that the
// tree's time is counted; killed, the kernel ends the tree. Both leave no process.
static void supervise(const struct spec *spec, const struct cgroups *groups, pid_t child, int pidfd,
                      int reports, uint64_t start_us, struct outcome *outcome) {
  bool asked = false;
  uint64_t deadline_us = start_us + spec->wall_ms * 1000;
  struct pollfd waits[] = {
      {.fd = pidfd, .events = POLLIN},
      {.fd = CONTROL_FD, .events = POLLIN},
      {.fd = groups->oom, .events = groups->oom_is_counter ? POLLPRI : POLLIN},
      {.fd = groups->pids, .events = POLLPRI},
  };
  for (;;) {
    if (poll(waits, 4, until_ms(deadline_us, groups->pids_is_silent ? LOOK_MS : 1000000)) < 0) {
      continue;
    }
    if (waits[0].revents != 0) break;
    if (asked && waits[1].revents != 0) hear(&waits[1], outcome);
    else if (asked && now_us() < deadline_us) continue;
    if (!asked && !is_over(waits, groups, deadline_us, outcome)) continue;
    kill(child, asked || outcome->orphaned ? SIGKILL : SIGTERM);
    // From here on we only wait for the end, and insist after a while or at the caller's death.
    deadline_us = asked ? UINT64_MAX : now_us() + ASKED_US;
    waits[2].fd = waits[3].fd = -1;
    asked = true;
  }
  outcome->wall_us = now_us() - start_us;
  int status;
  wait4(child, &status, 0, &outcome->usage);
  outcome->ended = recv(reports, &outcome->report, sizeof outcome->report, MSG_DONTWAIT) ==
                   (ssize_t)sizeof outcome->report;
  outcome->peak_bytes = peak_bytes(groups, spec, outcome);
  // The process that reaps all others may have been killed with them; a cgroup forgets nobody.
  outcome->user_us = larger(time_us(outcome->usage.ru_utime), cgroup_user_us(groups));
  outcome->system_us = larger(time_us(outcome->usage.ru_stime), cgroup_system_us(groups));
  if (asked) return;
  // A fast death may be noticed before the event that explains it.
  if (cgroup_ran_out_of_memory(groups)) outcome->limit = "memory";
  else if (cgroup_refused_fork(groups)) outcome->limit = "pids";
}

static int exit_code(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static const char *limit_of(const struct outcome *outcome, int code) {
  if (outcome->limit != NULL) return outcome->limit;
  if (outcome->cancelled) return "";
  switch (outcome->report.kind) {
  case OVER_MEMORY:
    return "memory";
  case OVER_PIDS:
    return "pids";
  case OVER_LOG:
    return "logBytes";
  case OVER_OUTPUT:
    return "outputBytes";
  case OVER_OUTPUT_FILES:
    return "outputFiles";
  case OVER_TMP:
    return "tmpBytes";
  case OVER_TMP_FILES:
    return "tmpFiles";
  default:
    // A shell reports its child's death by SIGXFSZ in the same way as its own.
    return code == 128 + SIGXFSZ ? "fileBytes" : "";
  }
}

static int append(char *line, int length, int size, const char *key, uint64_t value) {
  return length + snprintf(line + length, (size_t)(size - length), ",\"%s\":%" PRIu64, key, value);
}

static void answer_outcome(const struct outcome *outcome) {
  const struct report *report = &outcome->report;
  const struct rusage *usage = &outcome->usage;
  char line[1024];
  const int size = sizeof line;
  if (outcome->ended && report->kind == SETUP_FAILED) {
    answer(line, snprintf(line, sizeof line, "{\"failed\":\"%s\",\"errno\":%d}\n", report->step,
                          report->value));
    return;
  }
  bool by_itself = outcome->ended && report->kind == ENDED && outcome->limit == NULL;
  int code = by_itself && !outcome->cancelled ? exit_code(report->value) : 128 + SIGKILL;
  int at = snprintf(line, sizeof line, "{\"exitCode\":%d,\"limit\":\"%s\",\"cancelled\":%s", code,
                    limit_of(outcome, code), outcome->cancelled ? "true" : "false");
  at = append(line, at, size, "wallUs", outcome->wall_us);
  at = append(line, at, size, "userUs", outcome->user_us);
  at = append(line, at, size, "systemUs", outcome->system_us);
  at = append(line, at, size, "memoryPeakBytes", outcome->peak_bytes);
  at = append(line, at, size, "readBytes", report->read_bytes);
  at = append(line, at, size, "writtenBytes", report->written_bytes);
  // Counted in units of 512 bytes, whatever the disk has: getrusage(2).
  at = append(line, at, size, "diskReadBytes", (uint64_t)usage->ru_inblock * 512);
  at = append(line, at, size, "diskWrittenBytes", (uint64_t)usage->ru_oublock * 512);
  at = append(line, at, size, "waits", (uint64_t)usage->ru_nvcsw);
  at = append(line, at, size, "preemptions", (uint64_t)usage->ru_nivcsw);
  at += snprintf(line + at, (size_t)(size - at), "}\n");
  answer(line, at);
}

// A log grew beyond its limit until that was seen.
static void cut_logs(const struct spec *spec) {
  struct stat log;
  for (int fd = 1; fd <= 2; fd++) {
    if (fstat(fd, &log) != 0 || (uint64_t)log.st_size <= spec->log_bytes) continue;
    if (ftruncate(fd, (off_t)spec->log_bytes) != 0) return;
  }
}

static void run(const struct spec *spec, struct cgroups *groups, struct outcome *outcome) {
  const char *step = prepare(spec, groups);
  if (step != NULL) {
    fail(outcome, step);
    return;
  }
  int reports[2], pidfd = -1;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, reports) != 0) {
    fail(outcome, "socketpair");
    return;
  }
  uint64_t start_us = now_us();
  pid_t child = start_inside(spec, groups, reports, &pidfd);
  if (child < 0) {
    fail(outcome, "clone");
    return;
  }
  close(reports[1]);
  if (chdir("/") != 0 || !write_maps(spec, child)) {
    fail(outcome, "uid_map");
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return;
  }
  send(reports[0], "", 1, MSG_NOSIGNAL);
  supervise(spec, groups, child, pidfd, reports[0], start_us, outcome);
  if (!spec->interactive) cut_logs(spec);
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "--nursery") == 0) {
    keep_off_signals();
    if (!keep_nursery(argv[2])) return 0;
  }
  if (argc == 2 && strcmp(argv[1], "--terminal") == 0 && !open_terminal()) return 1;
  static struct spec spec;
  static struct outcome outcome;
  static struct cgroups groups;
  keep_off_signals();
  umask(0022);
  outcome.orphaned = !read_spec(&spec);
  outcome.cancelled = spec.cancelled;
  if (!outcome.orphaned && !outcome.cancelled) run(&spec, &groups, &outcome);
  // Answered last: who hears the answer finds nothing left of the action.
  remove_cgroups(&groups);
  if (!outcome.orphaned) answer_outcome(&outcome);
  else if (spec.scratch != NULL) remove_tree(spec.scratch);
  return 0;
}
