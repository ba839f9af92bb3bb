// Runs one command in a job object: limited in memory, processors and processes, with a restricted
// token, and gone with this program, whatever ends that. One line of JSON tells how it went.
//
// Standard input brings the specification, then `c` to cancel; when it closes, the caller has died.

#include "job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define TICK_MS 100
// What a job is given to die of being terminated.
#define END_MS 5000

enum { FROM_JOB = 1, FROM_CALLER, FROM_COMMAND };

struct run {
  struct spec spec;
  HANDLE job, port, process, thread, out, err, nothing;
  const char *limit;
  bool cancelled, orphaned;
};

static _Noreturn void fail(const char *step) {
  DWORD error = GetLastError();
  printf("{\"failed\":\"%s\",\"errno\":%lu}\n", step, (unsigned long)error);
  fflush(stdout);
  ExitProcess(1);
}

static DWORD WINAPI hear_caller(void *port) {
  char word = 0;
  DWORD got = 0;
  bool is_told = ReadFile(GetStdHandle(STD_INPUT_HANDLE), &word, 1, &got, NULL) && got == 1;
  PostQueuedCompletionStatus(port, is_told ? 'c' : 0, FROM_CALLER, NULL);
  return 0;
}

static void CALLBACK hear_command(void *port, BOOLEAN timed_out) {
  (void)timed_out;
  PostQueuedCompletionStatus(port, 0, FROM_COMMAND, NULL);
}

static HANDLE open_log(const wchar_t *path) {
  SECURITY_ATTRIBUTES inherited = {.nLength = sizeof inherited, .bInheritHandle = TRUE};
  // Appending, so that the two streams of one file and our cut do not overwrite each other.
  const DWORD access = FILE_APPEND_DATA | FILE_READ_ATTRIBUTES | SYNCHRONIZE;
  const DWORD sharing = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
  return CreateFileW(path, access, sharing, &inherited, CREATE_ALWAYS, FILE_ATTRIBUTE_NORMAL, NULL);
}

static void open_job(struct run *run) {
  JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits;
  JOBOBJECT_CPU_RATE_CONTROL_INFORMATION rate;
  JOBOBJECT_BASIC_UI_RESTRICTIONS ui;
  SYSTEM_INFO system;
  GetSystemInfo(&system);
  run->job = CreateJobObjectW(NULL, NULL);
  run->port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
  if (run->job == NULL || run->port == NULL) fail("CreateJobObject");
  fill_limits(&run->spec, &limits);
  fill_ui(&ui);
  if (!SetInformationJobObject(run->job, JobObjectExtendedLimitInformation, &limits, sizeof limits)) {
    fail("job limits");
  }
  // Refused where Remote Desktop shares the processors fairly by itself; actions then get that share.
  if (fill_rate(&run->spec, system.dwNumberOfProcessors, &rate)) {
    SetInformationJobObject(run->job, JobObjectCpuRateControlInformation, &rate, sizeof rate);
  }
  if (!SetInformationJobObject(run->job, JobObjectBasicUIRestrictions, &ui, sizeof ui)) fail("job UI");
  JOBOBJECT_ASSOCIATE_COMPLETION_PORT port = {(void *)FROM_JOB, run->port};
  if (!SetInformationJobObject(run->job, JobObjectAssociateCompletionPortInformation, &port, sizeof port)) {
    fail("job port");
  }
}

// The program a command's first word means: by the action's own PATH, or from its folder.
static wchar_t *find_program(const struct spec *spec) {
  static wchar_t found[32768];
  const wchar_t *word = spec->args[0];
  bool is_path = wcspbrk(word, L"/\\:") != NULL;
  const wchar_t *path = is_path ? L"." : variable(spec, L"PATH");
  DWORD length = SearchPathW(path ? path : L"", word, L".exe", 32768, found, NULL);
  return length > 0 && length < 32768 ? found : NULL;
}

static _Noreturn void not_runnable(struct run *run, DWORD error) {
  char text[512];
  bool absent = error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND;
  int length = snprintf(text, sizeof text, "builder: %.200ls: %s (Windows error %lu)\n",
                        run->spec.args[0], absent ? "not found" : "cannot be run", (unsigned long)error);
  DWORD written = 0;
  WriteFile(run->err, text, length > 0 ? (DWORD)length : 0, &written, NULL);
  printf("{\"exitCode\":%d,\"wallUs\":0,\"userUs\":0,\"systemUs\":0,\"memoryPeakBytes\":0}\n",
         absent ? 127 : 126);
  fflush(stdout);
  ExitProcess(0);
}

// Only its three standard handles reach the command, whatever else this program has open.
static void start(struct run *run) {
  const struct spec *spec = &run->spec;
  HANDLE inherited[] = {run->nothing, run->out, run->err};
  STARTUPINFOEXW info = {.StartupInfo = {.cb = sizeof info, .dwFlags = STARTF_USESTDHANDLES,
                                         .hStdInput = run->nothing, .hStdOutput = run->out, .hStdError = run->err}};
  SIZE_T size = 0;
  InitializeProcThreadAttributeList(NULL, 1, 0, &size);
  info.lpAttributeList = malloc(size);
  if (info.lpAttributeList == NULL || !InitializeProcThreadAttributeList(info.lpAttributeList, 1, 0, &size) ||
      !UpdateProcThreadAttribute(info.lpAttributeList, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, inherited,
                                 sizeof inherited, NULL, NULL)) {
    fail("handle list");
  }
  if (!SetCurrentDirectoryW(spec->exec_root)) fail("execRoot");
  if (spec->working_directory[0] != 0 && !SetCurrentDirectoryW(spec->working_directory)) fail("chdir");
  HANDLE token = make_token();
  if (token == NULL) fail("restricted token");
  if (!label_folders(spec->exec_root)) fail("integrity label");
  if (!make_temporary(spec->scratch)) fail("temporary folder");
  const wchar_t *program = find_program(spec);
  if (program == NULL) not_runnable(run, ERROR_FILE_NOT_FOUND);
  PROCESS_INFORMATION process;
  const DWORD how = CREATE_SUSPENDED | CREATE_UNICODE_ENVIRONMENT | CREATE_NO_WINDOW |
                    CREATE_NEW_PROCESS_GROUP | EXTENDED_STARTUPINFO_PRESENT;
  if (!CreateProcessAsUserW(token, program, join_words(spec->args), NULL, NULL, TRUE, how,
                            spec->environment, NULL, &info.StartupInfo, &process)) {
    not_runnable(run, GetLastError());
  }
  run->process = process.hProcess;
  run->thread = process.hThread;
  // It has not run one instruction yet: what it starts is in the job as well.
  if (!AssignProcessToJobObject(run->job, run->process)) {
    TerminateProcess(run->process, 1);
    fail("AssignProcessToJobObject");
  }
}

static void pass(struct run *run, const char *limit) {
  if (run->limit == NULL) run->limit = limit;
  TerminateJobObject(run->job, 137);
}

static bool is_over(HANDLE file, uint64_t bytes) {
  LARGE_INTEGER size;
  return GetFileSizeEx(file, &size) && (uint64_t)size.QuadPart > bytes;
}

static void measure(struct run *run) {
  const struct spec *spec = &run->spec;
  struct measure found;
  if (is_over(run->out, spec->log_bytes) || is_over(run->err, spec->log_bytes)) pass(run, "logBytes");
  if (run->limit != NULL || !measure_tree(spec->exec_root, &found)) return;
  if (found.largest > spec->file_bytes) pass(run, "fileBytes");
  if (found.bytes > spec->tree_bytes) pass(run, "outputBytes");
  if (found.files > spec->tree_files) pass(run, "outputFiles");
}

static DWORD active_processes(HANDLE job) {
  JOBOBJECT_BASIC_ACCOUNTING_INFORMATION use;
  if (!QueryInformationJobObject(job, JobObjectBasicAccountingInformation, &use, sizeof use, NULL)) return 0;
  return use.ActiveProcesses;
}

// Until the command has ended; what it left running ends with it.
static void watch(struct run *run, ULONGLONG start_ms) {
  const uint64_t wall_ms = run->spec.wall_ms;
  bool ended = false;
  for (ULONGLONG end_ms = 0; !(ended && active_processes(run->job) == 0);) {
    DWORD what = 0;
    ULONG_PTR from = 0;
    OVERLAPPED *with = NULL;
    ULONGLONG spent_ms = GetTickCount64() - start_ms;
    uint64_t left_ms = spent_ms < wall_ms ? wall_ms - spent_ms : 0;
    DWORD patience = ended ? 10 : (DWORD)min(left_ms + 1, TICK_MS);
    bool is_told = GetQueuedCompletionStatus(run->port, &what, &from, &with, patience);
    if (is_told && from == FROM_COMMAND && !ended) {
      ended = true;
      end_ms = GetTickCount64();
      TerminateJobObject(run->job, 137);
    }
    if (is_told && from == FROM_CALLER) {
      run->orphaned = what != 'c';
      run->cancelled = true;
      TerminateJobObject(run->job, 137);
    }
    if (is_told && from == FROM_JOB && what == JOB_OBJECT_MSG_JOB_MEMORY_LIMIT) pass(run, "memory");
    if (is_told && from == FROM_JOB && what == JOB_OBJECT_MSG_ACTIVE_PROCESS_LIMIT) pass(run, "pids");
    if (ended) {
      if (GetTickCount64() - end_ms > END_MS) return;
      continue;
    }
    if (GetTickCount64() - start_ms >= wall_ms) pass(run, "timeout");
    else if (!is_told) measure(run);
  }
}

static void cut(const wchar_t *path, uint64_t bytes) {
  HANDLE file = CreateFileW(path, GENERIC_WRITE, 7, NULL, OPEN_EXISTING, 0, NULL);
  LARGE_INTEGER end = {.QuadPart = (LONGLONG)bytes};
  if (file == INVALID_HANDLE_VALUE) return;
  if (is_over(file, bytes) && SetFilePointerEx(file, end, NULL, FILE_BEGIN)) SetEndOfFile(file);
  CloseHandle(file);
}

static void answer(const struct run *run, ULONGLONG wall_ms) {
  JOBOBJECT_BASIC_AND_IO_ACCOUNTING_INFORMATION use = {0};
  JOBOBJECT_EXTENDED_LIMIT_INFORMATION peak = {0};
  DWORD code = 1;
  QueryInformationJobObject(run->job, JobObjectBasicAndIoAccountingInformation, &use, sizeof use, NULL);
  QueryInformationJobObject(run->job, JobObjectExtendedLimitInformation, &peak, sizeof peak, NULL);
  GetExitCodeProcess(run->process, &code);
  if (run->limit != NULL || run->cancelled) code = 137;
  // Times of jobs are in units of 100 ns.
  printf("{\"exitCode\":%ld,\"limit\":\"%s\",\"cancelled\":%s,\"wallUs\":%llu,\"userUs\":%lld,"
         "\"systemUs\":%lld,\"memoryPeakBytes\":%llu}\n",
         (long)code, run->limit ? run->limit : "", run->cancelled ? "true" : "false", wall_ms * 1000,
         use.BasicInfo.TotalUserTime.QuadPart / 10, use.BasicInfo.TotalKernelTime.QuadPart / 10,
         (unsigned long long)peak.PeakJobMemoryUsed);
  fflush(stdout);
}

int main(void) {
  static struct run run;
  if (!read_spec(GetStdHandle(STD_INPUT_HANDLE), &run.spec)) return 1;
  SECURITY_ATTRIBUTES inherited = {.nLength = sizeof inherited, .bInheritHandle = TRUE};
  run.nothing = CreateFileW(L"NUL", GENERIC_READ, 7, &inherited, OPEN_EXISTING, 0, NULL);
  run.out = open_log(run.spec.stdout_path);
  run.err = open_log(run.spec.stderr_path);
  if (run.nothing == INVALID_HANDLE_VALUE) fail("stdin");
  if (run.out == INVALID_HANDLE_VALUE) fail("stdout");
  if (run.err == INVALID_HANDLE_VALUE) fail("stderr");
  open_job(&run);
  start(&run);
  HANDLE wait = NULL;
  ULONGLONG start_ms = GetTickCount64();
  if (run.spec.cancelled) PostQueuedCompletionStatus(run.port, 'c', FROM_CALLER, NULL);
  if (CreateThread(NULL, 0, hear_caller, run.port, 0, NULL) == NULL) fail("thread");
  if (!RegisterWaitForSingleObject(&wait, run.process, hear_command, run.port, INFINITE, WT_EXECUTEONLYONCE)) {
    fail("wait");
  }
  ResumeThread(run.thread);
  watch(&run, start_ms);
  ULONGLONG wall_ms = GetTickCount64() - start_ms;
  measure(&run);
  CloseHandle(run.out);
  CloseHandle(run.err);
  cut(run.spec.stdout_path, run.spec.log_bytes);
  cut(run.spec.stderr_path, run.spec.log_bytes);
  // A folder that is somebody's current one cannot be removed.
  if (run.orphaned && SetCurrentDirectoryW(L"\\")) remove_tree(run.spec.scratch);
  if (!run.orphaned) answer(&run, wall_ms);
  ExitProcess(0);
}
