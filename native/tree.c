// Walks over the folders of one action: handing them over before, removing them after.
// Neither walk follows a symlink: an action may have planted one to anywhere.

#include "sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Bound: each level holds a descriptor; paths deeper than this cannot be named on Linux anyway.
#define DEPTH_MAX 2048

static bool is_dots(const char *name) {
  return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static int open_folder(int parent, const char *name) {
  return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool is_folder(int parent, const struct dirent *entry) {
  if (entry->d_type != DT_UNKNOWN) return entry->d_type == DT_DIR;
  struct stat found;
  if (fstatat(parent, entry->d_name, &found, AT_SYMLINK_NOFOLLOW) != 0) return false;
  return S_ISDIR(found.st_mode);
}

static bool chown_below(int folder, unsigned id, int depth) {
  DIR *listing = depth > DEPTH_MAX ? NULL : fdopendir(folder);
  if (listing == NULL) {
    close(folder);
    return false;
  }
  bool ok = fchown(folder, id, id) == 0;
  struct dirent *entry;
  while (ok && (entry = readdir(listing)) != NULL) {
    if (is_dots(entry->d_name) || !is_folder(folder, entry)) continue;
    int child = open_folder(folder, entry->d_name);
    ok = child >= 0 && chown_below(child, id, depth + 1);
  }
  closedir(listing);
  return ok;
}

bool chown_folders(const char *path, unsigned id) {
  struct stat found;
  int folder = open_folder(AT_FDCWD, path);
  if (folder < 0 || fstat(folder, &found) != 0) return false;
  if (found.st_uid != id) return chown_below(folder, id, 0);
  close(folder);
  return true;
}

static void remove_below(int folder, int depth) {
  DIR *listing = depth > DEPTH_MAX ? NULL : fdopendir(folder);
  if (listing == NULL) {
    close(folder);
    return;
  }
  struct dirent *entry;
  while ((entry = readdir(listing)) != NULL) {
    if (is_dots(entry->d_name) || unlinkat(folder, entry->d_name, 0) == 0) continue;
    int child = open_folder(folder, entry->d_name);
    if (child < 0 && errno == EACCES && is_folder(folder, entry)) {
      // The action took its own permission away; as owner of the folder we can give it back.
      fchmodat(folder, entry->d_name, 0700, 0);
      child = open_folder(folder, entry->d_name);
    }
    if (child < 0) continue;
    fchmod(child, 0700);
    remove_below(child, depth + 1);
    unlinkat(folder, entry->d_name, AT_REMOVEDIR);
  }
  closedir(listing);
}

void remove_tree(const char *path) {
  if (path[0] != '/' || path[1] == '\0') return;
  int folder = open_folder(AT_FDCWD, path);
  if (folder >= 0) remove_below(folder, 0);
  rmdir(path);
}
