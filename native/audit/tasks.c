// The threads and processes under the tracer, by their ids. Bound: what the kernel lets run at once.

#include "audit.h"

#include <signal.h>
#include <stdlib.h>

#define BUCKETS 4096

struct node {
  struct task task;
  struct node *next;
};

static struct node *buckets[BUCKETS];

static struct node **bucket_of(pid_t id) {
  return &buckets[(unsigned)id % BUCKETS];
}

struct task *find_task(pid_t id) {
  for (struct node *node = *bucket_of(id); node != NULL; node = node->next) {
    if (node->task.id == id) return &node->task;
  }
  return NULL;
}

struct task *add_task(pid_t id, uint32_t program) {
  struct task *known = find_task(id);
  if (known != NULL) {
    known->program = program;
    return known;
  }
  struct node *node = calloc(1, sizeof *node);
  if (node == NULL) abort();
  struct node **bucket = bucket_of(id);
  *node = (struct node){.task = {.id = id, .program = program}, .next = *bucket};
  *bucket = node;
  return &node->task;
}

void drop_task(pid_t id) {
  for (struct node **at = bucket_of(id); *at != NULL; at = &(*at)->next) {
    struct node *node = *at;
    if (node->task.id != id) continue;
    *at = node->next;
    free(node);
    return;
  }
}

void kill_tasks(void) {
  for (size_t i = 0; i < BUCKETS; i++) {
    for (struct node *node = buckets[i]; node != NULL; node = node->next) {
      kill(node->task.id, SIGKILL);
    }
  }
}
