// What the files of the audit program share. One run of the program is one command: it runs it as a
// tracer, with the whole machine in sight, and writes down every file and address that the command
// and all it starts ask for (docs/adr/0022-audit.md).
#ifndef BUILDER_AUDIT_H
#define BUILDER_AUDIT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// What was done with a path; an entry of the trace has several.
#define LOOKED 0x01   // asked for its existence, kind, time, link text
#define READ 0x02     // opened for reading, or executed
#define LISTED 0x04   // a folder, opened
#define WRITTEN 0x08  // opened for writing, or cut short
#define CREATED 0x10  // did not exist before
#define REMOVED 0x20  // deleted, or moved away
#define CHANGED 0x40  // its mode, owner, times or attributes
#define EXECUTED 0x80
#define UNDECLARED 0x100 // of the workspace, and not among what was laid out
#define FAILED 0x200     // of the workspace, and could not be copied
#define FOLDER 0x400

// What kinds of entries there are.
#define FILE_ENTRY 'f'
#define NETWORK_ENTRY 'n' // an address
#define HIDDEN_ENTRY 'h'  // a call after which names mean something else, or that reaches past them
#define OVERFLOW_ENTRY 'o' // there were more entries than are kept

// What a call does with its arguments.
enum act {
  ACT_OPEN,
  ACT_CREAT,
  ACT_OPEN_HOW,
  ACT_LOOK,
  ACT_LOOK_AT_LINK,
  ACT_EXECUTE,
  ACT_MAKE,
  ACT_MAKE_FOLDER,
  ACT_REMOVE,
  ACT_CHANGE,
  ACT_CHANGE_LINK,
  ACT_RENAME,
  ACT_LINK,
  ACT_ADDRESS,       // a pointer and a length
  ACT_BIND,          // the same, for an address of the program's own
  ACT_MESSAGE,       // struct msghdr
  ACT_MESSAGES,      // an array of them
  ACT_SOCKET_CALL,   // 32-bit x86: all socket calls in one
  ACT_HIDE,          // always of note
  ACT_HIDE_KEYED,    // of note unless its first argument is 0
  ACT_HIDE_LISTENER, // of note where a filter hands calls to another process
  ACT_LIST,          // varied: entries of a folder
  ACT_CLOCK,         // varied: struct timespec
  ACT_TIME_OF_DAY,   // varied: struct timeval
  ACT_TIME,          // varied: seconds as a result
  ACT_STAT,          // varied: struct stat
  ACT_STATX,         // varied: struct statx
};

// A system call that is of interest. Arguments count from 0; -1 where there is none.
struct call {
  uint16_t number;
  uint8_t act;
  int8_t at;    // folder's descriptor
  int8_t path;  // or the address
  int8_t flags; // or the address's length
  const char *name;
};

// A stopped call, as the kernel tells of it.
struct stopped {
  const struct call *call;
  bool narrow; // of a 32-bit program
  uint64_t arguments[6];
};

// The same, heard of by a notification.
struct notice {
  uint64_t id;
  pid_t task;
  struct stopped stopped;
};

struct task {
  pid_t id;
  uint32_t program;
  struct stopped pending; // varied calls: what to do when it returns
};

// Where things are. Paths are absolute and have no symlinks.
struct layout {
  const char *exec_root;
  const char *workspace;
  const char *const *skipped; // sorted paths below the exec root that are never filled in
  size_t skipped_count;
};

// A name followed to its end.
struct place {
  char path[PATH_MAX];
  bool exists;
  bool undeclared;
  bool failed;
  mode_t mode;
};

// How to follow a name.
enum follow {
  FOLLOW = 1,
  CREATING = 2, // what it would be replaced by is not filled in
  IN_ROOT = 4,  // openat2: absolute names start at the folder
};

// calls.c
#if defined(__x86_64__)
#define NOTIFIES true
#else
#define NOTIFIES false
#endif
// How a process with the filter tells of a call.
enum telling {
  BY_NOTIFICATION, // to a listener
  BY_STOP,         // to its tracer
};
// Installs the filter; from here on every call of interest stops this process. A listener, or 0 where
// there is none to have; -1 with errno.
int install_filter(bool varying, enum telling telling);
bool is_narrow(uint32_t architecture);
// Whether a call is told of by notification where there is a listener.
bool is_notified(const struct call *call);
const struct call *find_call(uint32_t architecture, uint64_t number, bool varying);

// notify.c
void begin_notices(int listener);
// Takes the next call; false where its caller was killed meanwhile.
bool take_notice(int listener, struct notice *notice);
// Lets the caller go on.
void answer_notice(int listener, const struct notice *notice);
// Of a task about to get a signal.
void repeat_call(pid_t id, uint32_t architecture);

// tasks.c
struct task *find_task(pid_t id);
struct task *add_task(pid_t id, uint32_t program);
void drop_task(pid_t id);
void kill_tasks(void);

// memory.c
bool read_memory(pid_t id, uint64_t address, void *to, size_t size);
bool write_memory(pid_t id, uint64_t address, const void *from, size_t size);
// Reads a path; false where it is not one, or empty.
bool read_path(pid_t id, uint64_t address, char path[PATH_MAX]);
bool read_link(const char *path, char text[PATH_MAX]);

// resolve.c
void set_layout(const struct layout *layout);
bool is_below(const char *path, const char *folder);
// Follows a name of a task. False where it leads nowhere, so that no file has to do with it.
bool resolve(const struct task *task, int at, const char *path, int follow, struct place *place);
// Makes the folder hold every name that the workspace has there; true where not all were laid out.
bool fill_listing(const char *folder);

// fill.c
enum filled { NOT_FILLED, FILLED, FILL_FAILED };
// Puts what the workspace has at a path of the exec root there, where it is not there yet.
enum filled fill(const char *path, const char *source, bool hollow);
// How a path came to be; a file that was only listed gets its content.
enum filled filled_before(const char *path, const char *source);
bool was_filled(const char *path);

// record.c
uint32_t add_program(pid_t id);
void record(char kind, uint32_t program, uint32_t ops, const char *path);
// For names that are asked for again and again: true where it is known, and counted once more.
bool record_again(uint32_t program, uint32_t ops, const char *name);
void remember_name(uint32_t program, uint32_t ops, const char *name, const char *path);
bool write_trace(const char *path);

// observe.c
// Notes what a call is about to do. It has not been made yet.
void observe(const struct task *task, const struct stopped *stopped);
// Notes the program that a task has become.
void observe_start(const struct task *task);
// Notes a task that sees other files than we do.
void observe_namespace(const struct task *task);

// network.c
void observe_network(const struct task *task, const struct stopped *stopped);

// vary.c
// What the clock says now, in Unix seconds, and whether folders are listed backwards.
void set_variation(int64_t begins_at, bool turned);
// Changes what a call returned, or what a program begins with.
void vary_result(struct task *task);
void vary_start(pid_t id);

#endif
