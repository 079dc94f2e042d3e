/* The system calls of a durable replace, without a runtime around them: replace DIRECTORY COUNT full|file
 * prints microseconds a replace. The same calls as atomicWriteSync makes with that durability. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void must(int result, const char *what) {
  if (result < 0) {
    perror(what);
    exit(1);
  }
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  int full = strcmp(argv[3], "full") == 0;
  must(chdir(argv[1]), "chdir");
  int count = atoi(argv[2]);
  char bytes[4096];
  memset(bytes, 'x', sizeof bytes);
  struct timespec begin, end;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (int round = 0; round < count; round++) {
    char temp[64];
    struct stat stat;
    snprintf(temp, sizeof temp, ".file.%026d.cs1u", round);
    lstat("file", &stat);
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    must(fd, "open");
    must(fstat(fd, &stat), "fstat");
    must(write(fd, bytes, sizeof bytes) == sizeof bytes ? 0 : -1, "write");
    must(fchmod(fd, 0644), "fchmod");
    must(fsync(fd), "fsync");
    int dir = -1;
    if (full) must(dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open directory");
    must(rename(temp, "file"), "rename");
    must(close(fd), "close");
    if (full) {
      must(fsync(dir), "fsync directory");
      must(close(dir), "close directory");
    }
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%f\n", ((end.tv_sec - begin.tv_sec) * 1e9 + (end.tv_nsec - begin.tv_nsec)) / 1e3 / count);
  return 0;
}
