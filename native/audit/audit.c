// Runs a command under a tracer, which sees every file and address that it and all it starts ask
// for. ptrace(2), seccomp(2). Nothing escapes: a thread or process that the tracer does not know
// cannot make a call of interest (it fails with "no such call"), and all end with the tracer.
//
//   builder-audit trace TRACE LAYOUT -- COMMAND…   what is done, written to TRACE
//   builder-audit vary SECONDS,TURNED,PIDS CORES -- COMMAND…   the command with a clock that begins at
//                        SECONDS, folders listed backwards if TURNED, PIDS ids used up, CORES (0: all)

#include "audit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// From linux/ptrace.h.
#define EVENT_FORK 1
#define EVENT_VFORK 2
#define EVENT_CLONE 3
#define EVENT_EXEC 4
#define EVENT_SECCOMP 7
#define EVENT_STOP 128
#define GET_CALL 0x420e
#define CALL_OF_FILTER 3
#define CALL_STOP (SIGTRAP | 0x80)
#define OPTIONS                                                                                 \
  (PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |        \
   PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)

// Of no command: the tracer itself could not do its work.
#define NO_TRACER 125

// struct ptrace_syscall_info, as far as it is used.
struct call_report {
  uint8_t kind, padding[3];
  uint32_t architecture;
  uint64_t instruction_pointer, stack_pointer, number, arguments[6];
  uint32_t mark;
};

static volatile sig_atomic_t asked_to_end;
static volatile pid_t command_id;
static bool varying;
// Where calls are heard of by notification: who tells of them, and the signals as they were.
static bool notified;
static int listener = -1;
static sigset_t while_waiting;

// What ends and stops wakes us as well.
static void on_signal(int number) {
  if (number != SIGTERM) return;
  asked_to_end = 1;
  if (command_id > 0) kill(command_id, SIGKILL);
}

static _Noreturn void give_up(const char *what) {
  fprintf(stderr, "builder-audit: %s: %s\n", what, strerror(errno));
  exit(NO_TRACER);
}

// From here on signals come only while we wait for a call.
static void hold_signals(void) {
  const struct sigaction action = {.sa_handler = on_signal};
  sigset_t held;
  sigemptyset(&held);
  sigaddset(&held, SIGCHLD);
  sigaddset(&held, SIGTERM);
  sigprocmask(SIG_BLOCK, &held, &while_waiting);
  sigaction(SIGCHLD, &action, NULL);
}

// The command's own process: it waits until it is traced, and then starts. Until then its files are
// ours, so that we have the listener, too.
static _Noreturn void run_command(int go, int *heard, char **command) {
  char byte;
  if (read(go, &byte, 1) != 1) _exit(NO_TRACER);
  signal(SIGTERM, SIG_DFL);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) give_up("seccomp");
  // Not before Linux 5.19, not below a filter that has a listener already, and where repeat_call can.
  *heard = varying || !NOTIFIES ? -1 : install_filter(varying, BY_NOTIFICATION);
  if (*heard < 0 && install_filter(varying, BY_STOP) < 0) give_up("seccomp");
  kill(getpid(), SIGSTOP); // raise would mean our parent, by whose copy of its id it goes
  execvp(command[0], command);
  fprintf(stderr, "builder: %s: %s\n", command[0], errno == ENOENT ? "not found" : strerror(errno));
  _exit(errno == ENOENT ? 127 : 126);
}

static pid_t start_command(char **command) {
  int pipes[2], status = 0;
  int *heard = mmap(NULL, sizeof *heard, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (heard == MAP_FAILED || pipe2(pipes, O_CLOEXEC) != 0) give_up("pipe");
  pid_t child = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
  if (child < 0) give_up("fork");
  if (child == 0) run_command(pipes[0], heard, command);
  if (ptrace(PTRACE_SEIZE, child, 0, OPTIONS) != 0) {
    int reason = errno;
    kill(child, SIGKILL);
    errno = reason;
    give_up("ptrace");
  }
  if (write(pipes[1], "", 1) != 1) give_up("pipe");
  while (waitpid(child, &status, __WALL) != child) {
  }
  // It has said why.
  if (!WIFSTOPPED(status)) exit(NO_TRACER);
  listener = *heard;
  notified = listener >= 0;
  if (notified) {
    begin_notices(listener);
    hold_signals();
  }
  ptrace(PTRACE_CONT, child, 0, 0);
  return child;
}

static bool read_report(pid_t id, struct call_report *report) {
  *report = (struct call_report){0};
  return ptrace(GET_CALL, id, (void *)sizeof *report, report) > 0;
}

static bool read_call(pid_t id, struct stopped *stopped) {
  struct call_report report;
  if (!read_report(id, &report) || report.kind != CALL_OF_FILTER) return false;
  stopped->narrow = is_narrow(report.architecture);
  memcpy(stopped->arguments, report.arguments, sizeof stopped->arguments);
  stopped->call = find_call(report.architecture, report.number, varying);
  return stopped->call != NULL;
}

static void on_child(const struct task *parent) {
  unsigned long id = 0;
  if (ptrace(PTRACE_GETEVENTMSG, parent->id, 0, &id) != 0) return;
  add_task((pid_t)id, parent->program);
  struct task child = {.id = (pid_t)id, .program = parent->program};
  if (!varying) observe_namespace(&child);
}

static void on_exec(struct task *task) {
  unsigned long former = 0;
  // A thread that starts a program becomes its process; the others are gone.
  if (ptrace(PTRACE_GETEVENTMSG, task->id, 0, &former) == 0 && (pid_t)former != task->id) {
    drop_task((pid_t)former);
  }
  if (varying) {
    vary_start(task->id);
    return;
  }
  task->program = add_program(task->id);
  observe_start(task);
}

// Children may be heard of before their parents' calls return.
static struct task *known_task(pid_t id) {
  struct task *task = find_task(id);
  return task != NULL ? task : add_task(id, varying ? 0 : add_program(id));
}

// Lets a task go on after a stop; a signal is passed on to it.
static void on_stop(pid_t id, int status) {
  struct task *task = known_task(id);
  const int event = status >> 16;
  int pass = 0, how = PTRACE_CONT;
  if (event == EVENT_SECCOMP) {
    struct stopped stopped;
    if (read_call(id, &stopped)) {
      if (varying) task->pending = stopped;
      else observe(task, &stopped);
      if (varying) how = PTRACE_SYSCALL;
    }
  } else if (event == EVENT_FORK || event == EVENT_VFORK || event == EVENT_CLONE) {
    on_child(task);
  } else if (event == EVENT_EXEC) {
    on_exec(task);
  } else if (event == EVENT_STOP) {
    const int number = WSTOPSIG(status);
    bool stops = number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
    if (stops) how = PTRACE_LISTEN;
  } else if (WSTOPSIG(status) == CALL_STOP) {
    if (task->pending.call != NULL) vary_result(task);
    task->pending.call = NULL;
  } else if (event == 0) {
    struct call_report report;
    pass = WSTOPSIG(status);
    if (notified && read_report(id, &report)) repeat_call(id, report.architecture);
  }
  ptrace(how, id, 0, (void *)(intptr_t)pass);
}

// Waits for a call, or for a signal. False where that came.
static bool take_call(void) {
  struct pollfd calls = {.fd = listener, .events = POLLIN};
  struct notice notice;
  if (ppoll(&calls, 1, NULL, &while_waiting) < 0) return false;
  if ((calls.revents & POLLIN) == 0) {
    listener = -1; // nobody is left to call, and old kernels would wait for one for ever
  } else if (take_notice(listener, &notice)) {
    if (notice.stopped.call != NULL) observe(known_task(notice.task), &notice.stopped);
    answer_notice(listener, &notice);
  }
  return true;
}

// Waits for the next task that stops or ends; calls that come before are taken.
static pid_t next_event(int *status) {
  static bool quiet;
  if (!notified) return waitpid(-1, status, __WALL);
  if (quiet) {
    while (take_call()) {
    }
    quiet = false;
  }
  pid_t id = waitpid(-1, status, __WALL | WNOHANG);
  quiet = id == 0;
  if (!quiet) return id;
  errno = EINTR;
  return -1;
}

// Follows everything until the command itself ends, and then ends what it left behind.
static int follow_all(pid_t command) {
  int result = -1;
  for (;;) {
    int status = 0;
    if (asked_to_end) kill_tasks();
    pid_t id = next_event(&status);
    if (id < 0 && errno == EINTR) continue;
    if (id < 0) break;
    if (WIFSTOPPED(status)) {
      on_stop(id, status);
      continue;
    }
    drop_task(id);
    if (id != command) continue;
    command_id = 0;
    result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    asked_to_end = 1;
  }
  return result;
}

static const char **read_layout(const char *path, size_t *count) {
  struct stat found;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0 || fstat(file, &found) != 0) give_up(path);
  char *text = calloc(1, (size_t)found.st_size + 1);
  const char **parts = calloc((size_t)found.st_size + 1, sizeof *parts);
  if (text == NULL || parts == NULL) give_up("memory");
  if (read(file, text, (size_t)found.st_size) != found.st_size) give_up(path);
  close(file);
  for (char *at = text; at < text + found.st_size; at += strlen(at) + 1) parts[(*count)++] = at;
  return parts;
}

static void use_up_ids(int count) {
  for (int i = 0; i < count; i++) {
    pid_t child = fork();
    if (child == 0) _exit(0);
    if (child > 0) waitpid(child, NULL, 0);
  }
}

static void keep_to_cores(int cores) {
  cpu_set_t all, some;
  if (cores == 0) return;
  CPU_ZERO(&some);
  if (sched_getaffinity(0, sizeof all, &all) != 0) return;
  for (int cpu = 0; cpu < CPU_SETSIZE && cores > 0; cpu++) {
    if (!CPU_ISSET(cpu, &all)) continue;
    CPU_SET(cpu, &some);
    cores--;
  }
  sched_setaffinity(0, sizeof some, &some);
}

int main(int count, char **words) {
  if (count < 6 || strcmp(words[4], "--") != 0) {
    fputs("builder-audit is started by bldr\n", stderr);
    return NO_TRACER;
  }
  varying = strcmp(words[1], "vary") == 0;
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  const struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGTERM, &action, NULL);
  if (varying) {
    long long begins_at = 0;
    int turned = 0, ids = 0;
    if (sscanf(words[2], "%lld,%d,%d", &begins_at, &turned, &ids) != 3) give_up("vary");
    set_variation(begins_at, turned != 0);
    use_up_ids(ids);
    keep_to_cores((int)strtol(words[3], NULL, 10));
  } else {
    size_t parts = 0;
    const char **paths = read_layout(words[3], &parts);
    if (parts < 2) give_up("layout");
    const struct layout layout = {paths[0], paths[1], paths + 2, parts - 2};
    set_layout(&layout);
  }
  const pid_t command = start_command(words + 5);
  command_id = command;
  add_task(command, varying ? 0 : add_program(command));
  int result = follow_all(command);
  if (!varying && !write_trace(words[2])) give_up(words[2]);
  return result < 0 ? NO_TRACER : result;
}
