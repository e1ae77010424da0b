/* Many short steps, one behind the other, each done by several threads: a recurrence, whose steps of some microseconds are far
 * too short to hand each to the pool. The threads come together once, in one job of the pool, and meet at the end of each step.
 *
 * Nobody is waited for who has not begun: a part is claimed when a thread is there to run it, so a team of one finishes all by
 * itself, and who comes late joins at the step under way. A thread takes the same part again as long as it can, and finds
 * in its cache what that part has read the step before. Who has to wait spins for a moment, then sleeps. */
#ifndef HONE_BASE_TEAM_H
#define HONE_BASE_TEAM_H

#include "base/pool.h"

enum { HONE_TEAM_PARTS = 16 }; /* at most, of a step */

/* Runs one part of one step; `worker` as in hone_task_fn. */
typedef void hone_team_fn(void *arg, int64_t step, int part, int worker);
/* All `parts` of step 0, then all of step 1, and so on, `steps` in all. On the caller alone where `pool` is NULL or has
 * more threads than there are CPUs, or steps are hundreds of millions. Allocates nothing. */
void hone_team_run(hone_pool *pool, int64_t steps, int parts, hone_team_fn *fn, void *arg);

#endif
