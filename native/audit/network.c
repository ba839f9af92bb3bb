// Addresses that a command speaks to: of the network, and of sockets with a name.

#include "audit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define MESSAGES_MAX 1024
// linux/net.h: which socket call, and a pointer to its arguments.
enum { CALL_BIND = 2, CALL_CONNECT = 3, CALL_SENDTO = 11, CALL_SENDMSG = 16, CALL_SENDMMSG = 20 };

static void note_address(const struct task *task, const char *verb, const char *address) {
  char text[PATH_MAX + 64];
  snprintf(text, sizeof text, "%s %s", verb, address);
  record(NETWORK_ENTRY, task->program, 0, text);
}

static void note_unix(const struct task *task, const char *verb, const struct sockaddr_un *address,
                      size_t size) {
  char name[sizeof address->sun_path + 1] = "", text[PATH_MAX + 8];
  struct place place;
  if (size <= offsetof(struct sockaddr_un, sun_path)) return;
  size_t length = size - offsetof(struct sockaddr_un, sun_path);
  if (address->sun_path[0] == '\0') {
    snprintf(text, sizeof text, "unix @%.*s", (int)length - 1, address->sun_path + 1);
    note_address(task, verb, text);
    return;
  }
  snprintf(name, sizeof name, "%.*s", (int)length, address->sun_path);
  if (!resolve(task, AT_FDCWD, name, FOLLOW | CREATING, &place)) return;
  bool binds = strcmp(verb, "bind") == 0;
  if (!place.exists && !binds) return;
  if (binds) record(FILE_ENTRY, task->program, CREATED, place.path);
  snprintf(text, sizeof text, "unix %s", place.path);
  note_address(task, verb, text);
}

static void observe_address(const struct task *task, const char *verb, uint64_t at, uint64_t size) {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
  } address = {0};
  char host[INET6_ADDRSTRLEN] = "", text[128];
  if (at == 0 || size < sizeof(sa_family_t)) return;
  if (size > sizeof address) size = sizeof address;
  if (!read_memory(task->id, at, &address, size)) return;
  switch (address.any.sa_family) {
  case AF_UNSPEC:
  case AF_NETLINK: return; // it speaks to nobody, and to the kernel
  case AF_UNIX: note_unix(task, verb, &address.local, size); return;
  case AF_INET:
    inet_ntop(AF_INET, &address.v4.sin_addr, host, sizeof host);
    snprintf(text, sizeof text, "%s:%d", host, ntohs(address.v4.sin_port));
    break;
  case AF_INET6:
    inet_ntop(AF_INET6, &address.v6.sin6_addr, host, sizeof host);
    snprintf(text, sizeof text, "[%s]:%d", host, ntohs(address.v6.sin6_port));
    break;
  default: snprintf(text, sizeof text, "family %d", address.any.sa_family);
  }
  note_address(task, verb, text);
}

static void observe_message(const struct task *task, uint64_t at, bool narrow) {
  if (narrow) {
    uint32_t head[2];
    if (read_memory(task->id, at, head, sizeof head)) {
      observe_address(task, "connect", head[0], head[1]);
    }
  } else {
    uint64_t head[2];
    if (read_memory(task->id, at, head, sizeof head)) {
      observe_address(task, "connect", head[0], (uint32_t)head[1]);
    }
  }
}

static void observe_messages(const struct task *task, uint64_t at, uint64_t count, bool narrow) {
  if (count > MESSAGES_MAX) count = MESSAGES_MAX;
  for (uint64_t i = 0; i < count; i++) observe_message(task, at + i * (narrow ? 32 : 64), narrow);
}

static void observe_socket_call(const struct task *task, const struct stopped *stopped) {
  uint32_t words[6] = {0};
  uint64_t which = stopped->arguments[0];
  size_t count = which == CALL_SENDTO ? 6 : 3;
  if (!read_memory(task->id, stopped->arguments[1], words, count * sizeof *words)) return;
  if (which == CALL_BIND) observe_address(task, "bind", words[1], words[2]);
  if (which == CALL_CONNECT) observe_address(task, "connect", words[1], words[2]);
  if (which == CALL_SENDTO) observe_address(task, "connect", words[4], words[5]);
  if (which == CALL_SENDMSG) observe_message(task, words[1], true);
  if (which == CALL_SENDMMSG) observe_messages(task, words[1], words[2], true);
}

void observe_network(const struct task *task, const struct stopped *stopped) {
  const struct call *call = stopped->call;
  uint64_t at = stopped->arguments[call->path];
  switch (call->act) {
  case ACT_ADDRESS: observe_address(task, "connect", at, stopped->arguments[call->flags]); return;
  case ACT_BIND: observe_address(task, "bind", at, stopped->arguments[call->flags]); return;
  case ACT_MESSAGE: observe_message(task, at, stopped->narrow); return;
  case ACT_MESSAGES:
    observe_messages(task, at, stopped->arguments[call->flags], stopped->narrow);
    return;
  default: observe_socket_call(task, stopped); return;
  }
}
