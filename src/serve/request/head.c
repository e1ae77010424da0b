#include "serve/request/head.h"

hone_slice hone_head_field(const hone_head *head, const char *name) {
    for (size_t i = 0; i < head->field_count; i++)
        if (hone_slice_equal_nocase(head->fields[i].name, name)) return head->fields[i].value;
    return (hone_slice){NULL, 0};
}
