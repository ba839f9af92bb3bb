// The functions this example builds, links and tests.
//
// The header is called math.h, like the system's. It is included by its place ("math.h" beside it,
// "../src/math.h" from the tests) and no -I names this folder, so <cmath> still finds the system's.
#pragma once

// Product of 1 to n, for 0 <= n <= 20.
long long factorial(int n);

// The n-th Fibonacci number, for 0 <= n <= 92; fibonacci(0) is 0.
long long fibonacci(int n);

// True for prime numbers; false for everything below 2.
bool is_prime(int n);
