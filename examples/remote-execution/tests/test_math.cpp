#include "../src/math.h"

#include <iostream>

namespace {

int failures = 0;

template <typename Value>
void expect_equal(const char* what, Value found, Value wanted) {
  if (found == wanted) return;
  std::cerr << what << " is " << found << ", expected " << wanted << '\n';
  ++failures;
}

}  // namespace

int main() {
  expect_equal("factorial(0)", factorial(0), 1LL);
  expect_equal("factorial(20)", factorial(20), 2432902008176640000LL);
  expect_equal("fibonacci(0)", fibonacci(0), 0LL);
  expect_equal("fibonacci(90)", fibonacci(90), 2880067194370816120LL);
  for (int prime : {2, 3, 5, 7, 97, 2147483647}) expect_equal("is_prime", is_prime(prime), true);
  for (int other : {-7, 0, 1, 4, 9, 25, 49, 2147483646}) {
    expect_equal("is_prime", is_prime(other), false);
  }
  if (failures == 0) std::cout << "all checks passed\n";
  return failures == 0 ? 0 : 1;
}
