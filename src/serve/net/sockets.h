/* Sockets that listen. */
#ifndef HONE_SERVE_NET_SOCKETS_H
#define HONE_SERVE_NET_SOCKETS_H

#include <hone/error.h>

#include <sys/types.h>

/* At a name or address (NULL: all of them) and a port (0 picks a free one). `*out` is non-blocking; close()
 * it. */
hone_status hone_socket_listen(const char *host, int port, int *out, hone_error *err);
/* The port that it listens at; 0 if it has none. */
int hone_socket_port(int fd);

/* A Unix domain socket, and the file that stands for it. */
typedef struct hone_socket_file {
    char *path;
    dev_t device;
    ino_t inode;
} hone_socket_file;

/* A file that a server left behind which is gone is replaced; one that a server listens at, or that is no
 * socket, is an error. On success close() `*out` and hone_socket_file_remove() `*file`. */
hone_status hone_socket_listen_file(const char *path, mode_t mode, int *out, hone_socket_file *file,
                                    hone_error *err);
/* Removes the file, unless another one has taken its place. An empty one is fine. */
void hone_socket_file_remove(hone_socket_file *file);

#endif
