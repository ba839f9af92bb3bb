#include <iostream>

#include "math.h"

int main() {
  for (int n : {5, 10}) std::cout << n << "! = " << factorial(n) << '\n';
  for (int n : {10, 20}) std::cout << "fibonacci(" << n << ") = " << fibonacci(n) << '\n';
  for (int n : {17, 20}) {
    std::cout << n << (is_prime(n) ? " is prime" : " is not prime") << '\n';
  }
}
