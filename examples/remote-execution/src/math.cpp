#include "math.h"

long long factorial(int n) {
  long long product = 1;
  for (int factor = 2; factor <= n; ++factor) product *= factor;
  return product;
}

long long fibonacci(int n) {
  long long current = 0;
  long long next = 1;
  for (int step = 0; step < n; ++step) {
    const long long sum = current + next;
    current = next;
    next = sum;
  }
  return current;
}

bool is_prime(int n) {
  if (n < 4) return n > 1;
  if (n % 2 == 0 || n % 3 == 0) return false;
  // Every other prime is one more or one less than a multiple of six.
  for (long long divisor = 5; divisor * divisor <= n; divisor += 6) {
    if (n % divisor == 0 || n % (divisor + 2) == 0) return false;
  }
  return true;
}
