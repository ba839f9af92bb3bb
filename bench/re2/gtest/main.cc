// Runs every test that was registered; ends with 1 where a check failed.

#include <vector>

#include "gtest/gtest.h"

namespace testing {
namespace {

struct Test {
  const char* group;
  const char* name;
  void (*run)();
};

std::vector<Test>& Tests() {
  static std::vector<Test> tests;
  return tests;
}

int failed = 0;

}  // namespace

bool Register(const char* group, const char* name, void (*run)()) {
  Tests().push_back({group, name, run});
  return true;
}

void Fail(const char* file, int line, const char* check, const std::string& message) {
  ++failed;
  std::cerr << file << ":" << line << ": " << check << " does not hold. " << message << "\n";
}

int RunAll() {
  for (const Test& test : Tests()) {
    const int before = failed;
    test.run();
    if (failed > before) std::cerr << test.group << "." << test.name << " failed\n";
  }
  std::cout << Tests().size() << " tests, " << failed << " checks failed\n";
  return failed == 0 && !Tests().empty() ? 0 : 1;
}

}  // namespace testing

int main() { return testing::RunAll(); }
