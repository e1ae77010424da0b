/* Private to the file functions of this room. */
#ifndef HONE_BASE_FILE_SYNC_H
#define HONE_BASE_FILE_SYNC_H

/* Stands before every rename and fsync: where HONE_TEST_STOP_AT ends the process. */
void hone_file_stop_point(void);

#endif
