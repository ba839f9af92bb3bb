// Files of the workspace that were not laid out appear in the exec root when they are asked for: a
// command then goes on as it would in the real tree, nothing it does reaches that tree, and what it
// should have declared is known. A file that was only listed is hollow: of the right size and
// without content, until somebody asks for it.

#include "audit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUCKETS 65536
#define CLONE_FILE 0x40049409 // FICLONE of linux/fs.h

struct filled_path {
  char *path;
  struct filled_path *next;
  bool hollow;
};

static struct filled_path *buckets[BUCKETS];

static struct filled_path **slot_of(const char *path) {
  uint32_t value = 2166136261u;
  for (const char *c = path; *c != '\0'; c++) value = (value ^ (unsigned char)*c) * 16777619u;
  struct filled_path **at = &buckets[value % BUCKETS];
  while (*at != NULL && strcmp((*at)->path, path) != 0) at = &(*at)->next;
  return at;
}

static void note_filled(const char *path, bool hollow) {
  struct filled_path **slot = slot_of(path);
  if (*slot == NULL) {
    struct filled_path *made = calloc(1, sizeof *made);
    if (made == NULL || (made->path = strdup(path)) == NULL) abort();
    *slot = made;
  }
  (*slot)->hollow = hollow;
}

static bool copy_bytes(int from, int to, off_t size) {
  if (ioctl(to, CLONE_FILE, from) == 0) return true;
  while (size > 0) {
    ssize_t sent = sendfile(to, from, NULL, size > 1 << 30 ? 1 << 30 : (size_t)size);
    if (sent < 0) return false;
    if (sent == 0) return true; // it became shorter meanwhile
    size -= sent;
  }
  return true;
}

// Mode and time as in the workspace: there are programs that compare them.
static bool copy_file(const char *source, const char *path, const struct stat *found, bool hollow) {
  int from = open(source, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (from < 0) return false;
  int to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  bool ok = to >= 0;
  if (ok) ok = hollow ? ftruncate(to, found->st_size) == 0 : copy_bytes(from, to, found->st_size);
  const struct timespec times[2] = {found->st_atim, found->st_mtim};
  if (ok) ok = fchmod(to, found->st_mode & 0777) == 0 && futimens(to, times) == 0;
  if (to >= 0) close(to);
  close(from);
  return ok;
}

static bool copy_link(const char *source, const char *path) {
  char text[PATH_MAX];
  return read_link(source, text) && symlink(text, path) == 0;
}

enum filled fill(const char *path, const char *source, bool hollow) {
  struct stat found;
  if (lstat(source, &found) != 0) return NOT_FILLED;
  bool ok = false;
  bool regular = S_ISREG(found.st_mode);
  if (S_ISDIR(found.st_mode)) ok = mkdir(path, (found.st_mode & 0777) | 0700) == 0;
  else if (S_ISLNK(found.st_mode)) ok = copy_link(source, path);
  else if (regular) ok = copy_file(source, path, &found, hollow);
  else return NOT_FILLED; // sockets and devices mean nothing elsewhere
  if (!ok) {
    if (regular) unlink(path);
    return FILL_FAILED;
  }
  note_filled(path, regular && hollow);
  return FILLED;
}

bool was_filled(const char *path) {
  return *slot_of(path) != NULL;
}

enum filled filled_before(const char *path, const char *source) {
  struct stat found;
  struct filled_path *known = *slot_of(path);
  if (known == NULL) return NOT_FILLED;
  if (!known->hollow) return FILLED;
  known->hollow = false;
  if (lstat(source, &found) != 0 || !S_ISREG(found.st_mode)) return FILLED;
  return copy_file(source, path, &found, false) ? FILLED : FILL_FAILED;
}
