#include <unistd.h>

int main(void) {
  static const char answer[] = "Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\nHello World!";
  return write(1, answer, sizeof answer - 1) == sizeof answer - 1 ? 0 : 1;
}
