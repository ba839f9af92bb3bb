// What a call is about to do to which file. All of it can be told before the call is made: whether
// the name leads somewhere is looked up here, so that each call stops once and not twice.

#include "audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// From linux/openat2.h.
#define IN_ROOT_FLAG 0x10
#define NO_LINKS_FLAG 0x04
#define LISTENER_FLAG 0x08
#define INTERPRETERS_MAX 4
// With the folder flag: a file without a name.
#define NAMELESS 020000000

// Folders of the system, where the same name leads to the same file all the time.
static const char *const steady[] = {"/usr/", "/lib", "/bin/", "/sbin/", "/opt/", "/nix/", "/etc/"};

static bool is_steady(const char *name) {
  for (size_t i = 0; i < sizeof steady / sizeof *steady; i++) {
    if (strncmp(name, steady[i], strlen(steady[i])) == 0) return true;
  }
  return false;
}

static uint32_t marks(const struct place *place) {
  return (place->undeclared ? UNDECLARED : 0) | (place->failed ? FAILED : 0) |
         (S_ISDIR(place->mode) ? FOLDER : 0);
}

// Processes of the command are "self": their numbers mean nothing afterwards.
static void note(const struct task *task, uint32_t ops, const struct place *place) {
  char shown[PATH_MAX];
  int id = 0, length = 0;
  if (sscanf(place->path, "/proc/%d%n", &id, &length) == 1 && find_task(id) != NULL) {
    snprintf(shown, sizeof shown, "/proc/self%s", place->path + length);
    record(FILE_ENTRY, task->program, ops | marks(place), shown);
  } else {
    record(FILE_ENTRY, task->program, ops | marks(place), place->path);
  }
}

// A look at what is there; nothing is noted of what is not.
static void look_at(const struct task *task, int at, const char *name, int follow, uint32_t ops) {
  struct place place;
  bool may_know = is_steady(name);
  uint32_t key = ops | (follow & FOLLOW ? 0x10000u : 0);
  if (may_know && record_again(task->program, key, name)) return;
  bool found = resolve(task, at, name, follow, &place) && place.exists;
  if (found) {
    bool folder = S_ISDIR(place.mode);
    if (folder && (ops & READ)) ops = LISTED;
    if ((ops & LISTED) && fill_listing(place.path)) ops |= UNDECLARED;
    note(task, ops, &place);
  } else if (place.failed) {
    note(task, ops, &place);
  }
  if (may_know) remember_name(task->program, key, name, found ? place.path : NULL);
}

static void open_file(const struct task *task, int at, const char *name, uint64_t flags, int how) {
  struct place place;
  bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0;
  bool creates = (flags & O_CREAT) != 0;
  bool exclusive = creates && (flags & O_EXCL) != 0;
  int follow = how | (flags & O_NOFOLLOW || exclusive ? 0 : FOLLOW) | (creates ? CREATING : 0);
  if ((flags & NAMELESS) != 0 || (flags & O_PATH) != 0) {
    look_at(task, at, name, how | (flags & O_NOFOLLOW ? 0 : FOLLOW), LOOKED);
  } else if (!writes && !creates) {
    look_at(task, at, name, follow, READ);
  } else if (resolve(task, at, name, follow, &place)) {
    if (!place.exists) {
      if (creates) note(task, CREATED | WRITTEN, &place);
    } else if (!exclusive) {
      bool reads = (flags & O_ACCMODE) != O_WRONLY;
      note(task, (writes ? WRITTEN : 0) | (reads ? READ : 0), &place);
    }
  }
}

static void make_file(const struct task *task, int at, const char *name, bool folder) {
  struct place place;
  if (!resolve(task, at, name, CREATING, &place)) return;
  if (folder && !place.exists) place.mode = S_IFDIR;
  note(task, place.exists ? LOOKED : CREATED, &place);
}

static void remove_file(const struct task *task, int at, const char *name) {
  struct place place;
  if (resolve(task, at, name, CREATING, &place) && place.exists) note(task, REMOVED, &place);
}

// Both names of a call that has two: the second is where the first one's file will be.
static void move_file(const struct task *task, const struct stopped *stopped, bool keeps) {
  char from[PATH_MAX], to[PATH_MAX];
  struct place place;
  const struct call *call = stopped->call;
  int step = call->at < 0 ? 1 : 2;
  int at = call->at < 0 ? AT_FDCWD : (int)stopped->arguments[call->at];
  int at_target = call->at < 0 ? AT_FDCWD : (int)stopped->arguments[call->at + 2];
  if (!read_path(task->id, stopped->arguments[call->path], from) ||
      !read_path(task->id, stopped->arguments[call->path + step], to)) {
    return;
  }
  if (!resolve(task, at, from, 0, &place) || !place.exists) return;
  note(task, keeps ? READ : READ | REMOVED, &place);
  if (!resolve(task, at_target, to, CREATING, &place)) return;
  note(task, WRITTEN | (place.exists ? 0 : CREATED), &place);
}

// The program that the kernel starts for a script, or to load a program: no call names it.
static bool interpreter_of(const char *path, char name[PATH_MAX]) {
  char head[4096] = "";
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return false;
  ssize_t size = read(file, head, sizeof head - 1);
  bool found = false;
  if (size > 2 && head[0] == '#' && head[1] == '!') {
    const char *start = head + 2 + strspn(head + 2, " \t");
    snprintf(name, PATH_MAX, "%.*s", (int)strcspn(start, " \t\r\n"), start);
    found = name[0] == '/';
  } else if (size > 64 && memcmp(head, "\x7f" "ELF", 4) == 0) {
    // Program headers of either width: the one of type 3 holds the loader's name.
    bool wide = head[4] == 2;
    uint64_t at = 0;
    uint16_t entry = 0, count = 0;
    memcpy(&at, head + (wide ? 32 : 28), wide ? 8 : 4);
    memcpy(&entry, head + (wide ? 54 : 42), 2);
    memcpy(&count, head + (wide ? 56 : 44), 2);
    for (uint16_t i = 0; i < count && !found; i++) {
      char header[56];
      uint32_t type = 0;
      uint64_t offset = 0, length = 0;
      if (pread(file, header, sizeof header, (off_t)(at + (uint64_t)i * entry)) < 32) break;
      memcpy(&type, header, 4);
      memcpy(&offset, header + (wide ? 8 : 4), wide ? 8 : 4);
      memcpy(&length, header + (wide ? 32 : 16), wide ? 8 : 4);
      if (type != 3 || length >= PATH_MAX) continue;
      ssize_t got = pread(file, name, length, (off_t)offset);
      if (got <= 0) break;
      name[got] = '\0';
      found = name[0] == '/';
    }
  }
  close(file);
  return found;
}

static void execute(const struct task *task, int at, const char *given) {
  struct place place;
  char name[PATH_MAX];
  snprintf(name, sizeof name, "%s", given);
  for (int i = 0; i < INTERPRETERS_MAX; i++) {
    if (!resolve(task, at, name, FOLLOW, &place) || !place.exists) return;
    note(task, READ | EXECUTED, &place);
    if (!S_ISREG(place.mode) || !interpreter_of(place.path, name)) return;
  }
}

void observe_start(const struct task *task) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/%d/exe", task->id);
  // Whatever was named, this is what runs, be it for a file of another architecture.
  if (read_link(link, path)) record(FILE_ENTRY, task->program, READ | EXECUTED, path);
  observe_namespace(task);
}

void observe_namespace(const struct task *task) {
  char link[64], here[PATH_MAX], there[PATH_MAX];
  snprintf(link, sizeof link, "/proc/%d/ns/mnt", task->id);
  bool known = read_link("/proc/self/ns/mnt", here) && read_link(link, there);
  if (known && strcmp(here, there) != 0) {
    record(HIDDEN_ENTRY, task->program, 0, "a mount namespace of its own");
  }
}

static int follow_of(const struct stopped *stopped, int usual) {
  const struct call *call = stopped->call;
  if (call->flags < 0) return usual;
  return stopped->arguments[call->flags] & AT_SYMLINK_NOFOLLOW ? 0 : usual;
}

static void open_how(const struct task *task, const struct stopped *stopped, const char *name) {
  uint64_t how[3];
  if (!read_memory(task->id, stopped->arguments[2], how, sizeof how)) return;
  uint64_t flags = how[0] | (how[2] & NO_LINKS_FLAG ? O_NOFOLLOW : 0);
  open_file(task, (int)stopped->arguments[0], name, flags, how[2] & IN_ROOT_FLAG ? IN_ROOT : 0);
}

static void change(const struct task *task, int at, const char *name, int follow) {
  struct place place;
  if (resolve(task, at, name, follow, &place) && place.exists) note(task, CHANGED, &place);
}

static void hide(const struct task *task, const struct stopped *stopped) {
  const struct call *call = stopped->call;
  if (call->act == ACT_HIDE_KEYED && stopped->arguments[0] == 0) return;
  // SECCOMP_SET_MODE_FILTER with a listener: another process answers calls that are not seen here.
  if (call->act == ACT_HIDE_LISTENER &&
      (stopped->arguments[0] != 1 || (stopped->arguments[1] & LISTENER_FLAG) == 0)) {
    return;
  }
  record(HIDDEN_ENTRY, task->program, 0, call->name);
}

// Calls that name one file.
static void observe_path(const struct task *task, const struct stopped *stopped) {
  const struct call *call = stopped->call;
  char name[PATH_MAX];
  if (!read_path(task->id, stopped->arguments[call->path], name)) return;
  int at = call->at < 0 ? AT_FDCWD : (int)stopped->arguments[call->at];
  switch (call->act) {
  case ACT_OPEN: open_file(task, at, name, stopped->arguments[call->flags], 0); return;
  case ACT_CREAT: open_file(task, at, name, O_WRONLY | O_CREAT | O_TRUNC, 0); return;
  case ACT_OPEN_HOW: open_how(task, stopped, name); return;
  case ACT_LOOK: look_at(task, at, name, follow_of(stopped, FOLLOW), LOOKED); return;
  case ACT_LOOK_AT_LINK: look_at(task, at, name, 0, LOOKED); return;
  case ACT_EXECUTE: execute(task, at, name); return;
  case ACT_MAKE: make_file(task, at, name, false); return;
  case ACT_MAKE_FOLDER: make_file(task, at, name, true); return;
  case ACT_REMOVE: remove_file(task, at, name); return;
  case ACT_CHANGE: change(task, at, name, follow_of(stopped, FOLLOW)); return;
  default: change(task, at, name, 0); return;
  }
}

void observe(const struct task *task, const struct stopped *stopped) {
  switch (stopped->call->act) {
  case ACT_RENAME: move_file(task, stopped, false); return;
  case ACT_LINK: move_file(task, stopped, true); return;
  case ACT_ADDRESS:
  case ACT_BIND:
  case ACT_MESSAGE:
  case ACT_MESSAGES:
  case ACT_SOCKET_CALL: observe_network(task, stopped); return;
  case ACT_HIDE:
  case ACT_HIDE_KEYED:
  case ACT_HIDE_LISTENER: hide(task, stopped); return;
  default: observe_path(task, stopped); return;
  }
}
