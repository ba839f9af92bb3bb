// What an action on Windows may try, and what our own code tells Windows: compiled by the tests.

#include "../../../native/windows/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say(const wchar_t *text) {
  char bytes[4096];
  WideCharToMultiByte(CP_UTF8, 0, text, -1, bytes, sizeof bytes, NULL, NULL);
  puts(bytes);
}

// Starts this program again, out of the job if that can be had, and does not wait for it.
static int start_another(wchar_t *how) {
  wchar_t line[1024], program[512];
  STARTUPINFOW info = {.cb = sizeof info};
  PROCESS_INFORMATION process;
  GetModuleFileNameW(NULL, program, 512);
  _snwprintf(line, 1024, L"probe %ls", how);
  const DWORD flags = CREATE_NEW_PROCESS_GROUP | DETACHED_PROCESS;
  bool free_one =
      CreateProcessW(program, line, NULL, NULL, FALSE, flags | CREATE_BREAKAWAY_FROM_JOB, NULL, NULL, &info, &process);
  bool any = free_one || CreateProcessW(program, line, NULL, NULL, FALSE, flags, NULL, NULL, &info, &process);
  printf("%s %lu\n", free_one ? "broke away" : any ? "started" : "refused", any ? process.dwProcessId : 0);
  return 0;
}

static int keep_touching(void) {
  for (int count = 0;; count++) {
    FILE *file = fopen("alive", "w");
    if (file == NULL) return 1;
    fprintf(file, "%d", count);
    fclose(file);
    Sleep(50);
  }
}

static int write_much(const char *path, long long bytes) {
  static char block[65536];
  FILE *file = path == NULL ? stdout : fopen(path, "wb");
  if (file == NULL) return 1;
  memset(block, 'x', sizeof block);
  for (; bytes > 0; bytes -= (long long)sizeof block) fwrite(block, 1, sizeof block, file);
  fflush(file);
  Sleep(20000);
  return 0;
}

static int write_many(int count) {
  char name[32];
  for (int i = 0; i < count; i++) {
    snprintf(name, sizeof name, "file-%d", i);
    fclose(fopen(name, "w"));
  }
  Sleep(20000);
  return 0;
}

static int show_token(void) {
  HANDLE token;
  DWORD size;
  char buffer[4096];
  OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token);
  TOKEN_PRIVILEGES *privileges = (TOKEN_PRIVILEGES *)buffer;
  GetTokenInformation(token, TokenPrivileges, buffer, sizeof buffer, &size);
  unsigned enabled = 0;
  LUID change;
  LookupPrivilegeValueW(NULL, SE_CHANGE_NOTIFY_NAME, &change);
  for (DWORD i = 0; i < privileges->PrivilegeCount; i++) {
    bool is_change = memcmp(&privileges->Privileges[i].Luid, &change, sizeof change) == 0;
    enabled += !is_change;
  }
  printf("privileges beside looking through folders: %u\n", enabled);
  GetTokenInformation(token, TokenGroups, buffer, sizeof buffer, &size);
  TOKEN_GROUPS *groups = (TOKEN_GROUPS *)buffer;
  SID_IDENTIFIER_AUTHORITY nt = {SECURITY_NT_AUTHORITY};
  PSID administrators;
  AllocateAndInitializeSid(&nt, 2, SECURITY_BUILTIN_DOMAIN_RID, DOMAIN_ALIAS_RID_ADMINS, 0, 0, 0, 0, 0, 0,
                           &administrators);
  for (DWORD i = 0; i < groups->GroupCount; i++) {
    if (!EqualSid(groups->Groups[i].Sid, administrators)) continue;
    printf("administrators: %s\n", groups->Groups[i].Attributes & SE_GROUP_ENABLED ? "enabled" : "denied");
  }
  return 0;
}

static int show_job(void) {
  BOOL in_job = FALSE;
  IsProcessInJob(GetCurrentProcess(), NULL, &in_job);
  printf("in a job: %d\n", in_job);
  return 0;
}

// What is handed to SetInformationJobObject for so much memory, processor time and processes.
static int show_structures(char **words) {
  struct spec spec = {.memory_bytes = strtoull(words[0], NULL, 10),
                      .cpu_millis = strtoull(words[1], NULL, 10),
                      .pids = strtoull(words[2], NULL, 10)};
  JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits;
  JOBOBJECT_CPU_RATE_CONTROL_INFORMATION rate;
  JOBOBJECT_BASIC_UI_RESTRICTIONS ui;
  fill_limits(&spec, &limits);
  fill_ui(&ui);
  bool is_capped = fill_rate(&spec, 8, &rate);
  printf("{\"flags\":%lu,\"memory\":%llu,\"processes\":%lu,\"capped\":%d,\"rateFlags\":%lu,\"rate\":%lu,\"ui\":%lu}\n",
         limits.BasicLimitInformation.LimitFlags, (unsigned long long)limits.JobMemoryLimit,
         limits.BasicLimitInformation.ActiveProcessLimit, is_capped, rate.ControlFlags, rate.CpuRate,
         ui.UIRestrictionsClass);
  return 0;
}

int wmain(int count, wchar_t **words) {
  const wchar_t *what = count > 1 ? words[1] : L"";
  char numbers[3][32] = {"", "", ""};
  for (int i = 2; i < count && i < 5; i++) WideCharToMultiByte(CP_UTF8, 0, words[i], -1, numbers[i - 2], 32, NULL, NULL);
  char *texts[] = {numbers[0], numbers[1], numbers[2]};
  if (wcscmp(what, L"args") == 0) {
    for (int i = 2; i < count; i++) say(words[i]);
  }
  if (wcscmp(what, L"job") == 0) return show_job();
  if (wcscmp(what, L"token") == 0) return show_token();
  if (wcscmp(what, L"structures") == 0) return show_structures(texts);
  if (wcscmp(what, L"another") == 0) return start_another(L"touch");
  if (wcscmp(what, L"touch") == 0) return keep_touching();
  if (wcscmp(what, L"sleep") == 0) Sleep(60000);
  if (wcscmp(what, L"say") == 0) return write_much(NULL, atoll(numbers[0]));
  if (wcscmp(what, L"write") == 0) return write_much("big", atoll(numbers[0]));
  if (wcscmp(what, L"many") == 0) return write_many(atoi(numbers[0]));
  if (wcscmp(what, L"crash") == 0) ExitProcess(0xC0000005);
  if (wcscmp(what, L"exit") == 0) return atoi(numbers[0]);
  return 0;
}
