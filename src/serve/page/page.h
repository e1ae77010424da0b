/* The page for people: HTML, a style and a script, which are part of the program. They ask the server's own APIs. */
#ifndef HONE_SERVE_PAGE_PAGE_H
#define HONE_SERVE_PAGE_PAGE_H

#include "serve/request/request.h"

/* Does who asks for "/" read HTML? Browsers say so; clients of APIs do not. */
bool hone_page_is_wanted(const hone_request *r);
/* The page, or what it needs, by the request's path; false: it is none of these. */
bool hone_page_answer(hone_request *r);

#endif
