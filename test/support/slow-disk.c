// A slow disk for one process: loaded before the C library, it makes a program wait at each call
// that changes a folder. SLOW_DISK_MS says how long.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void wait_for_disk(void) {
  const char *ms = getenv("SLOW_DISK_MS");
  if (ms != NULL) usleep(1000 * (unsigned)atoi(ms));
}

int link(const char *from, const char *to) {
  int (*next)(const char *, const char *) = dlsym(RTLD_NEXT, "link");
  wait_for_disk();
  return next(from, to);
}

int mkdir(const char *path, mode_t mode) {
  int (*next)(const char *, mode_t) = dlsym(RTLD_NEXT, "mkdir");
  wait_for_disk();
  return next(path, mode);
}
