// From a name, as a process gave it to the kernel, to the file that is meant: relative to the folder
// it is in, or to one that it has open, through every symlink. path_resolution(7).

#include "audit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LINKS_MAX 40

static struct layout layout;

void set_layout(const struct layout *given) {
  layout = *given;
}

bool is_below(const char *path, const char *folder) {
  size_t length = strlen(folder);
  return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static int compare_paths(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// True where the path or a folder above it is in the list.
static bool is_skipped(const char *path) {
  char part[PATH_MAX];
  if (layout.skipped_count == 0) return false;
  snprintf(part, sizeof part, "%s", path);
  for (;;) {
    const char *key = part;
    if (bsearch(&key, layout.skipped, layout.skipped_count, sizeof key, compare_paths)) return true;
    char *slash = strrchr(part, '/');
    if (slash == NULL) return false;
    *slash = '\0';
  }
}

// Where the workspace has what belongs at a path; false for paths that are none of its business.
static bool source_of(const char *path, char source[PATH_MAX]) {
  if (layout.exec_root[0] == '\0' || !is_below(path, layout.exec_root)) return false;
  const char *name = path + strlen(layout.exec_root);
  if (*name == '\0' || is_skipped(name + 1)) return false;
  return snprintf(source, PATH_MAX, "%s%s", layout.workspace, name) < PATH_MAX;
}

// The folder that names of a task start from.
static bool find_base(const struct task *task, int at, char base[PATH_MAX]) {
  char link[64];
  if (at == AT_FDCWD) snprintf(link, sizeof link, "/proc/%d/cwd", task->id);
  else snprintf(link, sizeof link, "/proc/%d/fd/%d", task->id, at);
  if (!read_link(link, base) || base[0] != '/') return false;
  if (base[1] == '\0') base[0] = '\0';
  return true;
}

// What a symlink says. Some of those below /proc depend on who asks.
static bool link_text(const struct task *task, const char *path, char text[PATH_MAX]) {
  if (strcmp(path, "/proc/self") == 0) return snprintf(text, PATH_MAX, "%d", task->id) > 0;
  if (strcmp(path, "/proc/thread-self") == 0) {
    return snprintf(text, PATH_MAX, "%d/task/%d", task->id, task->id) > 0;
  }
  return read_link(path, text);
}

struct walk {
  struct place *place;
  char rest[2 * PATH_MAX];
  int links;
  int follow;
};

// Looks at the path that was reached. What the workspace has, and was not laid out, comes here.
static void look(struct walk *walk, bool last) {
  struct place *place = walk->place;
  struct stat found;
  char source[PATH_MAX];
  bool inside = source_of(place->path, source);
  place->exists = lstat(place->path, &found) == 0;
  place->undeclared = false;
  if (inside && !(last && (walk->follow & CREATING) && !place->exists)) {
    enum filled how = place->exists ? filled_before(place->path, source)
                                    : fill(place->path, source, false);
    place->undeclared = how == FILLED;
    place->failed |= how == FILL_FAILED;
    if (how == FILLED) place->exists = lstat(place->path, &found) == 0;
  }
  place->mode = place->exists ? found.st_mode : 0;
}

// Puts what a symlink says before the rest of the way.
static bool enter_link(const struct task *task, struct walk *walk, char *rest) {
  struct place *place = walk->place;
  char text[PATH_MAX], joined[2 * PATH_MAX];
  if (++walk->links > LINKS_MAX || !link_text(task, place->path, text)) return false;
  if (text[0] != '/' && is_below(place->path, "/proc") && strchr(text, ':') != NULL) {
    // A pipe, a socket: open already, and no file.
    return false;
  }
  if (snprintf(joined, sizeof joined, "%s/%s", text, rest) >= (int)sizeof joined) return false;
  memcpy(walk->rest, joined, sizeof joined);
  if (text[0] == '/') place->path[0] = '\0';
  else *strrchr(place->path, '/') = '\0';
  return true;
}

// Takes one step; false where the way ends. `undeclared` of a link on the way stays known.
static bool step(const struct task *task, struct walk *walk, bool *arrived, bool *through) {
  struct place *place = walk->place;
  char *part = walk->rest + strspn(walk->rest, "/");
  size_t length = strcspn(part, "/");
  if (length == 0) {
    *arrived = true;
    return true;
  }
  char *rest = part + length;
  bool slash = *rest == '/';
  rest += strspn(rest, "/");
  bool last = *rest == '\0';
  if (length == 2 && part[0] == '.' && part[1] == '.') {
    char *end = strrchr(place->path, '/');
    if (end != NULL) *end = '\0';
  } else if (!(length == 1 && part[0] == '.')) {
    size_t before = strlen(place->path);
    if (before + 1 + length >= PATH_MAX) return false;
    place->path[before] = '/';
    memcpy(place->path + before + 1, part, length);
    place->path[before + 1 + length] = '\0';
    look(walk, last);
    if (!place->exists) {
      *arrived = last;
      return last;
    }
    if (S_ISLNK(place->mode) && (!last || slash || (walk->follow & FOLLOW))) {
      *through |= place->undeclared;
      if (place->undeclared) record(FILE_ENTRY, task->program, LOOKED | UNDECLARED, place->path);
      return enter_link(task, walk, rest);
    }
    if (!last && !S_ISDIR(place->mode)) return false;
  }
  memmove(walk->rest, rest, strlen(rest) + 1);
  return true;
}

bool resolve(const struct task *task, int at, const char *path, int follow, struct place *place) {
  struct walk walk = {.place = place, .follow = follow};
  *place = (struct place){.exists = true, .mode = S_IFDIR};
  place->path[0] = '\0';
  if ((path[0] != '/' || (follow & IN_ROOT)) && !find_base(task, at, place->path)) return false;
  snprintf(walk.rest, sizeof walk.rest, "%s", path);
  bool arrived = false, through = false;
  while (!arrived) {
    if (!step(task, &walk, &arrived, &through)) return false;
  }
  if (place->path[0] == '\0') strcpy(place->path, "/");
  struct stat found;
  if (place->exists && place->mode == S_IFDIR && lstat(place->path, &found) == 0) {
    char source[PATH_MAX];
    // The way ended at "." or "..": what was reached has not been looked at.
    place->mode = found.st_mode;
    place->undeclared = source_of(place->path, source) &&
                        filled_before(place->path, source) == FILLED;
  }
  return true;
}

bool fill_listing(const char *folder) {
  bool undeclared = false;
  char source[PATH_MAX], path[PATH_MAX], from[PATH_MAX];
  struct stat found;
  if (strcmp(folder, layout.exec_root) == 0) snprintf(source, sizeof source, "%s", layout.workspace);
  else if (!source_of(folder, source)) return false;
  DIR *list = opendir(source);
  if (list == NULL) return false;
  for (const struct dirent *entry; (entry = readdir(list)) != NULL;) {
    const char *name = entry->d_name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) continue;
    if (!source_of(path, from)) continue;
    bool there = lstat(path, &found) == 0;
    undeclared |= there ? was_filled(path) : fill(path, from, true) == FILLED;
  }
  closedir(list);
  return undeclared;
}
