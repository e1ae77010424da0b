/* What stands before the front ends: how many requests there may be at once, and who may ask for what. First
 * asked when only the head of a request is there, so that a body that is not wanted is not read. What is open
 * to everybody has no more of a body than is free of the budget. */
#ifndef HONE_SERVE_ACCESS_ADMISSION_H
#define HONE_SERVE_ACCESS_ADMISSION_H

#include "serve/access/auth.h"

typedef struct hone_admission {
    hone_auth *auth;          /* NULL: everybody may do everything */
    const char *metrics_path; /* one more that is for those who may see metrics; NULL: none */
    int max_requests;         /* from the last byte of a request until it is answered and gone; 0: no limit */
    atomic_int requests;
} hone_admission;

/* Of a request whose head is there. False: it has been answered. */
bool hone_admission_begin(const hone_admission *a, hone_request *r);
/* Of one that is complete: counts it until it is freed. Health, metrics and administration pass also when
 * there are too many. False: it has been answered. */
bool hone_admission_enter(hone_admission *a, hone_request *r);

#endif
