// A stand-in for the few macros of googletest that RE2's tests use, which is not vendored with it.

#ifndef BUILDER_BENCH_GTEST_H_
#define BUILDER_BENCH_GTEST_H_

#include <iostream>
#include <sstream>
#include <string>

namespace testing {

// Adds a test to those that run; the answer has no meaning but lets a global make the call.
bool Register(const char* group, const char* name, void (*run)());

// Where tests may write.
inline std::string TempDir() { return "/tmp/"; }

// Notes a failed check with its place.
void Fail(const char* file, int line, const char* check, const std::string& message);

// Reports a failed check when the whole message has been streamed into it.
class Failure {
 public:
  Failure(const char* file, int line, const char* check)
      : file_(file), line_(line), check_(check) {}
  ~Failure() { Fail(file_, line_, check_, text_.str()); }
  template <typename T>
  Failure& operator<<(const T& value) {
    text_ << value;
    return *this;
  }

 private:
  const char* file_;
  int line_;
  const char* check_;
  std::ostringstream text_;
};

// Binds weaker than <<, so that `return Leave() & Failure() << ...` ends a function that returns
// nothing.
struct Leave {
  void operator&(const Failure&) {}
};

}  // namespace testing

#define TEST(group, name)                                                              \
  static void group##_##name##_Run();                                                  \
  static const bool group##_##name##_added =                                           \
      ::testing::Register(#group, #name, &group##_##name##_Run);                       \
  static void group##_##name##_Run()

// `switch` keeps an `else` of the caller away from the `if`.
#define BENCH_EXPECT(ok, text) \
  switch (0)                   \
  case 0:                      \
  default:                     \
    if (ok)                    \
      ;                        \
    else                       \
      ::testing::Failure(__FILE__, __LINE__, text)

#define BENCH_ASSERT(ok, text) \
  switch (0)                   \
  case 0:                      \
  default:                     \
    if (ok)                    \
      ;                        \
    else                       \
      return ::testing::Leave() & ::testing::Failure(__FILE__, __LINE__, text)

#define EXPECT_TRUE(a) BENCH_EXPECT((a), #a)
#define EXPECT_FALSE(a) BENCH_EXPECT(!(a), "!" #a)
#define EXPECT_EQ(a, b) BENCH_EXPECT((a) == (b), #a " == " #b)
#define EXPECT_LE(a, b) BENCH_EXPECT((a) <= (b), #a " <= " #b)
#define EXPECT_LT(a, b) BENCH_EXPECT((a) < (b), #a " < " #b)
#define ASSERT_TRUE(a) BENCH_ASSERT((a), #a)
#define ASSERT_FALSE(a) BENCH_ASSERT(!(a), "!" #a)
#define ASSERT_EQ(a, b) BENCH_ASSERT((a) == (b), #a " == " #b)
#define ASSERT_NE(a, b) BENCH_ASSERT((a) != (b), #a " != " #b)
#define ASSERT_GE(a, b) BENCH_ASSERT((a) >= (b), #a " >= " #b)
#define ASSERT_GT(a, b) BENCH_ASSERT((a) > (b), #a " > " #b)
#define ASSERT_LE(a, b) BENCH_ASSERT((a) <= (b), #a " <= " #b)
#define ASSERT_LT(a, b) BENCH_ASSERT((a) < (b), #a " < " #b)

#endif  // BUILDER_BENCH_GTEST_H_
