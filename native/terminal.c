// A terminal of its own for an action that a user looks into. Given the user's, the action could
// type into it (TIOCSTI) or change its settings for good; so it gets a new one, and a process in
// between copies bytes both ways. pty(7), termios(3).

#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static volatile sig_atomic_t resized = 1;

static void note_resize(int signal) {
  (void)signal;
  resized = 1;
}

static bool write_all(int fd, const char *bytes, ssize_t length) {
  for (ssize_t done = 0; done < length;) {
    ssize_t wrote = write(fd, bytes + done, (size_t)(length - done));
    if (wrote < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (wrote <= 0) return false;
    done += wrote;
  }
  return true;
}

// False once there is nothing more to come. The other side of a terminal ends with EIO.
static bool copy(int from, int to) {
  char bytes[4096];
  ssize_t got = read(from, bytes, sizeof bytes);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  return got > 0 && write_all(to, bytes, got);
}

static void relay(int terminal) {
  struct pollfd waits[] = {{.fd = terminal, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
  for (;;) {
    if (resized) {
      struct winsize size;
      resized = 0;
      if (ioctl(0, TIOCGWINSZ, &size) == 0) ioctl(terminal, TIOCSWINSZ, &size);
    }
    if (poll(waits, 2, -1) < 0) continue;
    if (waits[0].revents != 0 && !copy(terminal, 1)) return;
    if (waits[1].revents != 0 && !copy(0, terminal)) waits[1].fd = -1;
  }
}

bool open_terminal(void) {
  struct termios before, raw;
  if (!isatty(0) || !isatty(1) || tcgetattr(0, &before) != 0) return true;
  int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0) return false;
  int inner = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (inner < 0 || tcsetattr(inner, TCSANOW, &before) != 0) return false;
  pid_t supervisor = fork();
  if (supervisor < 0) return false;
  if (supervisor == 0) {
    close(terminal);
    return dup2(inner, 0) == 0 && dup2(inner, 1) == 1 && dup2(inner, 2) == 2;
  }
  close(inner);
  close(CONTROL_FD);
  // Not restarted: the size is copied as soon as it changes.
  struct sigaction on_resize = {.sa_handler = note_resize};
  sigaction(SIGWINCH, &on_resize, NULL);
  raw = before;
  cfmakeraw(&raw);
  tcsetattr(0, TCSANOW, &raw);
  relay(terminal);
  tcsetattr(0, TCSADRAIN, &before);
  waitpid(supervisor, NULL, 0);
  _exit(0);
}
