/* The floor: a FastCGI program that does the least a program can do. It answers each request with one constant, and reads
 * of the requests only the record headers that it needs to know where one ends. One process, epoll, one read and one write
 * a request. What is slower than this is slower by what it does beyond that; the rest is Apache's share.
 * Usage: floor SOCKET */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECTIONS 4096
#define TEXT "Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\nHello World!"

/* STDOUT with the text, STDOUT without content, END_REQUEST; the request id is always 1. */
static unsigned char answer[8 + sizeof(TEXT) - 1 + 8 + 16];

/* Where a connection is: the bytes of the header that came, the content that is still due, the flag KEEP_CONN. */
static struct state { unsigned char header[8]; int have; long due; int kept; int is_begin; } states[CONNECTIONS];

/* Takes bytes; returns how many requests have ended, which is when STDIN has. */
static int take(struct state *s, const unsigned char *bytes, long size) {
  int ended = 0;
  for (long at = 0; at < size;) {
    if (s->due > 0) {
      if (s->is_begin && s->due == 6) s->kept = bytes[at] & 1; /* the third byte of BEGIN_REQUEST */
      long step = s->is_begin ? 1 : s->due < size - at ? s->due : size - at;
      s->due -= step, at += step;
      continue;
    }
    s->header[s->have++] = bytes[at++];
    if (s->have < 8) continue;
    s->have = 0;
    s->due = s->header[4] * 256 + s->header[5] + s->header[6];
    s->is_begin = s->header[1] == 1;
    if (s->header[1] == 5 && s->due == 0) ended++;
  }
  return ended;
}

int main(int count, char **arguments) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (count != 2 || strlen(arguments[1]) >= sizeof address.sun_path) return 2;
  strcpy(address.sun_path, arguments[1]);
  unlink(address.sun_path);
  unsigned short size = sizeof(TEXT) - 1;
  unsigned char head[8] = {1, 6, 0, 1, size >> 8, size & 255}, end[24] = {1, 6, 0, 1, 0, 0, 0, 0, 1, 3, 0, 1, 0, 8};
  memcpy(answer, head, 8), memcpy(answer + 8, TEXT, size), memcpy(answer + 8 + size, end, 24);

  int listener = socket(AF_UNIX, SOCK_STREAM, 0), poll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[64];
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || chmod(arguments[1], 0666) ||
      listen(listener, 511) || epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event)) return perror("floor"), 1;
  for (;;) {
    int found = epoll_wait(poll, events, 64, -1);
    for (int i = 0; i < found; i++) {
      static unsigned char buffer[65536];
      int fd = events[i].data.fd;
      if (fd == listener) {
        struct epoll_event wanted = {.events = EPOLLIN, .data.fd = accept(listener, NULL, NULL)};
        if (wanted.data.fd < 0 || wanted.data.fd >= CONNECTIONS) return perror("floor: accept"), 1;
        memset(&states[wanted.data.fd], 0, sizeof *states);
        epoll_ctl(poll, EPOLL_CTL_ADD, wanted.data.fd, &wanted);
        continue;
      }
      long got = read(fd, buffer, sizeof buffer);
      int ended = got > 0 ? take(&states[fd], buffer, got) : -1;
      while (ended > 0 && write(fd, answer, sizeof answer) == (long)sizeof answer && states[fd].kept) ended--;
      if (ended != 0) close(fd);
    }
  }
}
