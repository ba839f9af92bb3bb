// The cgroups of one action, version 1 or 2: limits before, answers during, removal after.
// https://docs.kernel.org/admin-guide/cgroup-v2.html, …/cgroup-v1/{memory,pids}.html

#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_US 100000

static bool put(int folder, const char *file, const char *text) {
  int fd = openat(folder, file, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t written = write(fd, text, strlen(text));
  int error = errno;
  close(fd);
  errno = error;
  return written >= 0;
}

static bool put_number(int folder, const char *file, uint64_t value) {
  char text[32];
  snprintf(text, sizeof text, "%" PRIu64, value);
  return put(folder, file, text);
}

static size_t get(int fd, char *text, size_t size) {
  ssize_t got = fd < 0 ? -1 : pread(fd, text, size - 1, 0);
  text[got < 0 ? 0 : got] = '\0';
  return got < 0 ? 0 : (size_t)got;
}

// The number after `key` in a file of "key number" lines; 0 if absent.
static uint64_t counter(int fd, const char *key) {
  char text[512];
  get(fd, text, sizeof text);
  size_t length = strlen(key);
  for (char *line = text; line != NULL && *line != '\0';) {
    if (strncmp(line, key, length) == 0 && line[length] == ' ') {
      return strtoull(line + length + 1, NULL, 10);
    }
    line = strchr(line, '\n');
    if (line != NULL) line++;
  }
  return 0;
}

static int open_file(int folder, const char *file) {
  return openat(folder, file, O_RDONLY | O_CLOEXEC);
}

// Opens a file that wakes poll() on each change; the first read arms it.
static int open_events(int folder, const char *file) {
  char text[512];
  int fd = open_file(folder, file);
  get(fd, text, sizeof text);
  return fd;
}

// Bound: a quota below 1 ms per period is refused by the kernel.
static uint64_t quota_us(const struct spec *spec) {
  uint64_t quota = spec->cpu_millis * (PERIOD_US / 1000);
  return quota < 1000 ? 1000 : quota;
}

// One more than asked: the first process inside is ours, not the action's.
static uint64_t pids_max(const struct spec *spec) { return spec->pids + 1; }

static bool limit_memory_v1(struct cgroups *all, int folder, const struct spec *spec) {
  if (!put_number(folder, "memory.limit_in_bytes", spec->memory_bytes)) return false;
  // Absent where swap is not accounted for; then there is nothing to forbid.
  put_number(folder, "memory.memsw.limit_in_bytes", spec->memory_bytes);
  int control = open_file(folder, "memory.oom_control");
  int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  char text[32];
  snprintf(text, sizeof text, "%d %d", event, control);
  if (!put(folder, "cgroup.event_control", text)) return false;
  close(control);
  all->oom = event;
  all->peak = open_file(folder, "memory.max_usage_in_bytes");
  return true;
}

static bool limit_v2(struct cgroups *all, int folder, const struct spec *spec) {
  char text[64];
  if (!put_number(folder, "memory.max", spec->memory_bytes)) return false;
  put(folder, "memory.swap.max", "0");
  put(folder, "memory.oom.group", "1");
  if (!put_number(folder, "pids.max", pids_max(spec))) return false;
  snprintf(text, sizeof text, "%" PRIu64 " %d", quota_us(spec), PERIOD_US);
  all->limits_cpu = put(folder, "cpu.max", text);
  if (!all->limits_cpu && errno != ENOENT) return false; // cpu may not be delegated
  all->clone_into = folder;
  all->oom = open_events(folder, "memory.events");
  all->oom_is_counter = true;
  all->pids = open_events(folder, "pids.events");
  // Linux 5.19 and later: before, nobody remembers (command.c then looks at times).
  all->peak = open_file(folder, "memory.peak");
  all->times = open_file(folder, "cpu.stat");
  return true;
}

static bool limit(struct cgroups *all, char hierarchy, int folder, const struct spec *spec) {
  switch (hierarchy) {
  case '2':
    return limit_v2(all, folder, spec);
  case 'm':
    return limit_memory_v1(all, folder, spec);
  case 'c':
    all->limits_cpu = true;
    return put_number(folder, "cpu.cfs_period_us", PERIOD_US) &&
           put_number(folder, "cpu.cfs_quota_us", quota_us(spec));
  case 'p':
    // Kernel 6.11 and later count here but wake nobody.
    all->pids_is_silent = true;
    all->pids = open_events(folder, "pids.events");
    return put_number(folder, "pids.max", pids_max(spec));
  default:
    errno = EINVAL;
    return false;
  }
}

// Field 22 of /proc/self/stat: with the process id it names this process for all time, so that a
// sweep can tell a cgroup whose owner died from one in use.
static uint64_t own_start_time(void) {
  char text[1024];
  int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  get(fd, text, sizeof text);
  if (fd >= 0) close(fd);
  char *at = strrchr(text, ')');
  for (int field = 2; at != NULL && field < 22; field++) at = strchr(at + 1, ' ');
  return at == NULL ? 0 : strtoull(at + 1, NULL, 10);
}

bool open_cgroups(struct cgroups *all, const struct spec *spec) {
  all->count = 0;
  all->oom = all->pids = all->clone_into = all->peak = all->times = -1;
  all->oom_is_counter = all->pids_is_silent = all->limits_cpu = false;
  if (spec->cgroup_count == 0) return true;
  uint64_t start = own_start_time();
  for (size_t i = 0; i < spec->cgroup_count; i++) {
    char *path = all->groups[i].path;
    int length = snprintf(path, sizeof all->groups[i].path, "%s/builder-%d-%" PRIu64,
                          spec->cgroups[i].parent, (int)getpid(), start);
    if (length >= (int)sizeof all->groups[i].path) {
      errno = ENAMETOOLONG;
      return false;
    }
    if (mkdir(path, 0755) != 0) return false;
    all->count = i + 1;
    all->groups[i].hierarchy = spec->cgroups[i].hierarchy;
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    all->groups[i].folder = folder;
    if (folder < 0 || !limit(all, all->groups[i].hierarchy, folder, spec)) return false;
  }
  return true;
}

bool enter_cgroups(const struct cgroups *all) {
  for (size_t i = 0; i < all->count; i++) {
    if (all->groups[i].hierarchy == '2') continue;
    // `tasks` and "0" instead of cgroup.procs and a process id: a thread that moves itself needs
    // no lock over all forks of the machine, which would wait for a grace period of many ms.
    if (!put(all->groups[i].folder, "tasks", "0")) return false;
  }
  return true;
}

static bool has(const struct spec *spec, char hierarchy) {
  for (size_t i = 0; i < spec->cgroup_count; i++) {
    char here = spec->cgroups[i].hierarchy;
    if (here == '2' || here == hierarchy) return true;
  }
  return false;
}

bool cgroup_has_memory(const struct spec *spec) { return has(spec, 'm'); }
bool cgroup_has_pids(const struct spec *spec) { return has(spec, 'p'); }

bool cgroup_ran_out_of_memory(const struct cgroups *all) {
  if (all->oom < 0) return false;
  if (all->oom_is_counter) return counter(all->oom, "oom_kill") > 0;
  uint64_t count;
  return read(all->oom, &count, sizeof count) == sizeof count;
}

bool cgroup_refused_fork(const struct cgroups *all) { return counter(all->pids, "max") > 0; }

uint64_t cgroup_peak_bytes(const struct cgroups *all) {
  char text[32];
  return get(all->peak, text, sizeof text) == 0 ? 0 : strtoull(text, NULL, 10);
}

uint64_t cgroup_user_us(const struct cgroups *all) { return counter(all->times, "user_usec"); }
uint64_t cgroup_system_us(const struct cgroups *all) { return counter(all->times, "system_usec"); }

void remove_cgroups(struct cgroups *all) {
  const struct timespec pause = {.tv_nsec = 1000000};
  for (size_t i = 0; i < all->count; i++) {
    // Busy for a moment while the kernel lets go of the last dead task.
    for (int tries = 0; tries < 1000; tries++) {
      if (rmdir(all->groups[i].path) == 0 || errno != EBUSY) break;
      nanosleep(&pause, NULL);
    }
  }
}
