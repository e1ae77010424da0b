#include "serve/net/sockets.h"

#include "base/error.h"
#include "base/memory.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

static int close_keeping_errno(int fd) {
    int code = errno;
    close(fd);
    errno = code;
    return -1;
}

/* --- ports --- */

/* Whoever is accepted inherits it: a client whose machine is gone is noticed within three minutes, also if its call has
 * no end, as to watch health. */
static void keep_alive(int fd) {
    int one = 1, idle = 90, interval = 15, probes = 6;
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

static int open_socket(const struct addrinfo *a) {
    int one = 1, zero = 0;
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
    if (fd < 0) return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    keep_alive(fd);
    if (a->ai_family == AF_INET6) (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) return fd;
    return close_keeping_errno(fd);
}

hone_status hone_socket_listen(const char *host, int port, int *out, hone_error *err) {
    char digits[16], place[300], text[128];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
                    *list = NULL;
    if (port < 0 || port > 65535) return hone_fail(err, HONE_INVALID_ARGUMENT, "%d is no port", port);
    snprintf(digits, sizeof digits, "%d", port);
    snprintf(place, sizeof place, "%s:%s", host ? host : "*", digits);
    int code = getaddrinfo(host, digits, &hints, &list), fd = -1;
    if (code != 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the address %s can't be listened at: %s", place,
                         gai_strerror(code));
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) fd = open_socket(a);
    code = errno;
    freeaddrinfo(list);
    if (fd < 0)
        return hone_fail(err, HONE_IO, "the address %s can't be listened at: %s", place,
                         hone_errno_text(code, text, sizeof text));
    *out = fd;
    return HONE_OK;
}

int hone_socket_port(int fd) {
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0) return 0;
    if (address.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return address.ss_family == AF_INET ? ntohs(((struct sockaddr_in *)&address)->sin_port) : 0;
}

/* --- files --- */

static hone_status make_way(const struct sockaddr_un *a, hone_error *err) {
    struct stat is;
    if (lstat(a->sun_path, &is) != 0) return HONE_OK;
    if (!S_ISSOCK(is.st_mode))
        return hone_fail_file(err, HONE_ALREADY_EXISTS, a->sun_path, "is there, and is no socket");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return hone_fail_errno(err, errno, a->sun_path, "no socket can be made");
    bool gone = connect(fd, (const struct sockaddr *)a, sizeof *a) != 0 && errno == ECONNREFUSED;
    close(fd);
    if (!gone) return hone_fail_file(err, HONE_ALREADY_EXISTS, a->sun_path, "a server listens there already");
    if (unlink(a->sun_path) != 0 && errno != ENOENT)
        return hone_fail_errno(err, errno, a->sun_path, "can't be replaced");
    return HONE_OK;
}

/* Nobody can connect before it listens, so nobody comes by before the mode is set. */
static int open_file_socket(const struct sockaddr_un *a, mode_t mode, struct stat *is) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)a, sizeof *a) != 0)
        return fd < 0 ? -1 : close_keeping_errno(fd);
    if (chmod(a->sun_path, mode) == 0 && lstat(a->sun_path, is) == 0 && listen(fd, BACKLOG) == 0) return fd;
    close_keeping_errno(fd);
    int code = errno;
    unlink(a->sun_path);
    errno = code;
    return -1;
}

hone_status hone_socket_listen_file(const char *path, mode_t mode, int *out, hone_socket_file *file,
                                    hone_error *err) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct stat is;
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof a.sun_path)
        return hone_fail_file(err, HONE_INVALID_ARGUMENT, path, "a socket's path has 1 to %zu bytes",
                              sizeof a.sun_path - 1);
    memcpy(a.sun_path, path, length);
    HONE_TRY(make_way(&a, err));
    char *copy = hone_strdup(path);
    if (!copy) return hone_fail_memory(err);
    int fd = open_file_socket(&a, mode, &is);
    if (fd < 0) {
        int code = errno;
        hone_free(copy);
        return hone_fail_errno(err, code, path, "can't be listened at");
    }
    *file = (hone_socket_file){copy, is.st_dev, is.st_ino};
    *out = fd;
    return HONE_OK;
}

void hone_socket_file_remove(hone_socket_file *file) {
    struct stat is;
    if (!file->path) return;
    if (lstat(file->path, &is) == 0 && is.st_dev == file->device && is.st_ino == file->inode)
        unlink(file->path);
    hone_free(file->path);
    *file = (hone_socket_file){0};
}
