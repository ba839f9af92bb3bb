// How much an action has put on disk: what its exec root holds, and files it deleted but still has
// open. There is no quota to be had without root, so we look: soon where the disk's free space fell
// by what the action has left, now and then in any case.

#include "sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define EXEC_ROOT "/work"
// Looking takes at most one part in so many of an action's time, and is done at most so often.
#define SHARE 50
#define APART_MS 1000
// Bound: each level of folders holds a descriptor.
#define LEVELS_MAX 400
// Bound: deleted files that are told from each other; further ones count each time they are seen.
#define DELETED_MAX 1024

struct total {
  uint64_t bytes, files;
};

struct deleted {
  ino_t seen[DELETED_MAX];
  size_t count;
  dev_t device;
};

static bool is_dots(const char *name) {
  return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

// What a file takes: not its length, where it has holes; not its blocks, where it fills them badly.
static uint64_t bytes_of(const struct stat *found) {
  uint64_t blocks = (uint64_t)found->st_blocks * 512, length = (uint64_t)found->st_size;
  return length < blocks ? length : blocks;
}

// Opens a folder also where the action took the right to away; `mode` says what to give back then.
static int open_folder(int parent, const char *name, int *mode) {
  const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  struct stat found;
  *mode = -1;
  int folder = openat(parent, name, flags);
  if (folder >= 0 || errno != EACCES) return folder;
  if (fstatat(parent, name, &found, AT_SYMLINK_NOFOLLOW) != 0) return -1;
  if (fchmodat(parent, name, 0700, 0) != 0) return -1;
  *mode = found.st_mode & 07777;
  return openat(parent, name, flags);
}

static void add_folder(int folder, int level, struct total *total) {
  DIR *listing = fdopendir(folder);
  if (listing == NULL) {
    close(folder);
    return;
  }
  struct dirent *entry;
  struct stat found;
  while ((entry = readdir(listing)) != NULL) {
    if (is_dots(entry->d_name)) continue;
    if (fstatat(folder, entry->d_name, &found, AT_SYMLINK_NOFOLLOW) != 0) continue;
    total->files += 1;
    if (S_ISREG(found.st_mode)) total->bytes += bytes_of(&found);
    if (!S_ISDIR(found.st_mode) || level == LEVELS_MAX) continue;
    int mode, below = open_folder(folder, entry->d_name, &mode);
    if (below >= 0) add_folder(below, level + 1, total);
    if (mode >= 0) fchmodat(folder, entry->d_name, (mode_t)mode, 0);
  }
  closedir(listing);
}

static bool is_new(struct deleted *deleted, ino_t file) {
  for (size_t i = 0; i < deleted->count; i++) {
    if (deleted->seen[i] == file) return false;
  }
  if (deleted->count < DELETED_MAX) deleted->seen[deleted->count++] = file;
  return true;
}

// The open files of one process that no folder names any more.
static void add_deleted(int proc, const char *pid, struct deleted *deleted, struct total *total) {
  char path[300];
  snprintf(path, sizeof path, "%s/fd", pid);
  int folder = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *listing = folder < 0 ? NULL : fdopendir(folder);
  if (listing == NULL) return;
  struct dirent *entry;
  struct stat found;
  while ((entry = readdir(listing)) != NULL) {
    if (is_dots(entry->d_name) || fstatat(folder, entry->d_name, &found, 0) != 0) continue;
    if (!S_ISREG(found.st_mode) || found.st_nlink > 0 || found.st_dev != deleted->device) continue;
    if (!is_new(deleted, found.st_ino)) continue;
    total->files += 1;
    total->bytes += bytes_of(&found);
  }
  closedir(listing);
}

static struct total look(void) {
  static struct deleted deleted;
  struct total total = {0};
  struct stat root;
  deleted.count = 0;
  int folder = open(EXEC_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0 || fstat(folder, &root) != 0) return total;
  deleted.device = root.st_dev;
  add_folder(folder, 0, &total);
  DIR *proc = opendir("/proc");
  if (proc == NULL) return total;
  struct dirent *entry;
  while ((entry = readdir(proc)) != NULL) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    add_deleted(dirfd(proc), entry->d_name, &deleted, &total);
  }
  closedir(proc);
  return total;
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct total free_space(void) {
  struct statvfs disk;
  if (statvfs(EXEC_ROOT, &disk) != 0) return (struct total){0};
  return (struct total){.bytes = (uint64_t)disk.f_bfree * disk.f_frsize, .files = disk.f_ffree};
}

static uint64_t left(uint64_t limit, uint64_t used) { return used < limit ? limit - used : 0; }

void begin_measure(struct measure *measure, const struct spec *spec) {
  struct total space = free_space();
  *measure = (struct measure){
      .free_bytes = space.bytes,
      .free_files = space.files,
      .left_bytes = left(spec->tree_bytes, spec->input_bytes),
      .left_files = left(spec->tree_files, spec->input_files),
      .next_ms = now_ms() + APART_MS,
  };
}

static bool fell_by(uint64_t before, uint64_t now, uint64_t most) {
  return before > now && before - now > most;
}

char measure_tree(struct measure *measure, const struct spec *spec, bool at_end) {
  struct total space = free_space();
  int64_t start_ms = now_ms();
  bool looks_over = fell_by(measure->free_bytes, space.bytes, measure->left_bytes) ||
                    fell_by(measure->free_files, space.files, measure->left_files);
  // At the end what is declared as output is counted by whoever takes it.
  if (at_end ? !looks_over : start_ms < (looks_over ? measure->soon_ms : measure->next_ms)) {
    return 0;
  }
  struct total total = look();
  int64_t took_ms = now_ms() - start_ms + 1;
  measure->soon_ms = start_ms + SHARE * took_ms;
  measure->next_ms = measure->soon_ms < start_ms + APART_MS ? start_ms + APART_MS : measure->soon_ms;
  measure->free_bytes = space.bytes;
  measure->free_files = space.files;
  measure->left_bytes = left(spec->tree_bytes, total.bytes);
  measure->left_files = left(spec->tree_files, total.files);
  if (total.bytes > spec->tree_bytes) return OVER_OUTPUT;
  return total.files > spec->tree_files ? OVER_OUTPUT_FILES : 0;
}

char measure_tmp(void) {
  struct statvfs tmp;
  if (statvfs("/tmp", &tmp) != 0 || tmp.f_blocks == 0) return 0;
  if (tmp.f_bfree == 0) return OVER_TMP;
  return tmp.f_ffree == 0 ? OVER_TMP_FILES : 0;
}

uint64_t tmp_bytes(void) {
  struct statvfs tmp;
  if (statvfs("/tmp", &tmp) != 0) return 0;
  return (uint64_t)(tmp.f_blocks - tmp.f_bfree) * tmp.f_frsize;
}

char measure_log(const struct spec *spec) {
  struct stat log;
  for (int fd = 1; fd <= 2; fd++) {
    if (fstat(fd, &log) != 0 || !S_ISREG(log.st_mode)) continue;
    if ((uint64_t)log.st_size > spec->log_bytes) return OVER_LOG;
  }
  return 0;
}
