// The nursery: one small process from which every run is forked. Starting a program from Node means
// copying the page tables of a process a thousand times larger; that took most of an action's time.
//
// `builder-sandbox --nursery SOCKET` listens until descriptor 3 closes, which is its caller's death.
// Each connection is the control socket of one run.

#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

// Bound: runs that wait for us to accept them; a node has far fewer slots.
#define WAITING_MAX 1024

static int listen_at(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return -1;
  strcpy(address.sun_path, path);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0) return -1;
  umask(0177);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0) return -1;
  return listen(listener, WAITING_MAX) == 0 ? listener : -1;
}

// Whoever speaks to us has commands run with our rights: only our own user may.
static bool is_own_user(int connection) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         peer.uid == geteuid();
}

static void refuse(int connection) {
  char line[64];
  int length = snprintf(line, sizeof line, "{\"failed\":\"fork\",\"errno\":%d}\n", errno);
  send(connection, line, (size_t)length, MSG_NOSIGNAL);
}

// The socket lies in a folder of its own, which nobody else removes where our caller was killed.
static void remove_socket(const char *path) {
  char folder[sizeof((struct sockaddr_un *)0)->sun_path];
  unlink(path);
  strcpy(folder, path);
  char *slash = strrchr(folder, '/');
  if (slash == NULL) return;
  *slash = '\0';
  rmdir(folder);
}

// True in the child, whose descriptor 3 is the connection.
static bool fork_run(int listener, int connection) {
  pid_t child = fork();
  if (child < 0) refuse(connection);
  if (child == 0) {
    signal(SIGCHLD, SIG_DFL);
    close(listener);
    dup2(connection, CONTROL_FD);
  }
  close(connection);
  return child == 0;
}

bool keep_nursery(const char *path) {
  int listener = listen_at(path);
  if (listener < 0) return false;
  // Nobody asks how a run ended but the one who is connected to it.
  signal(SIGCHLD, SIG_IGN);
  send(CONTROL_FD, "ready\n", 6, MSG_NOSIGNAL);
  struct pollfd waits[] = {
      {.fd = listener, .events = POLLIN},
      {.fd = CONTROL_FD, .events = POLLIN},
  };
  for (;;) {
    if (poll(waits, 2, -1) < 0) continue;
    if (waits[1].revents != 0) {
      remove_socket(path);
      return false;
    }
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0) continue;
    if (!is_own_user(connection)) close(connection);
    else if (fork_run(listener, connection)) return true;
  }
}
