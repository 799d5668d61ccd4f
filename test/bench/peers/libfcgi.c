/* Hello world with libfcgi. Usage: libfcgi SOCKET THREADS, or without arguments under mod_fcgid.
 * A thread serves one connection as long as Apache keeps it, so there are as many as Apache may keep. */
#include <fcgiapp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static int listener = 0;

static void *serve(void *unused) {
  FCGX_Request request;
  FCGX_InitRequest(&request, listener, 0);
  while (FCGX_Accept_r(&request) == 0) {
    while (FCGX_GetChar(request.in) != EOF) continue; /* else it closes a connection whose STDIN has not ended */
    FCGX_PutS("Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\nHello World!", request.out);
    FCGX_Finish_r(&request);
  }
  return unused;
}

int main(int count, char **arguments) {
  FCGX_Init();
  if (count == 3) {
    listener = FCGX_OpenSocket(arguments[1], 511);
    chmod(arguments[1], 0666);
    for (int threads = atoi(arguments[2]); threads > 1; threads--) {
      pthread_t thread;
      if (pthread_create(&thread, NULL, serve, NULL) != 0) return 1;
    }
  }
  serve(NULL);
  return 0;
}
