/* Rows of op_cases.h: attention and what belongs to it. */
    {"Attention", "R2,3,4,6 R2,3,5,6 R2,3,5,2", "", 1},
    {"Attention", "R2,4,6 R2,5,6 R2,5,4", "q_num_heads=2 kv_num_heads=2 is_causal=1", 1},
    {"Attention", "R2,4,8 R2,5,4 R2,5,6 R4,5", "q_num_heads=4 kv_num_heads=2 softcap=1.5 scale=0.7", 1},
    {"Attention", "R1,4,2,3 R1,2,2,3 R1,2,2,3 R1,4,2,5 R1,2,3,3 R1,2,3,3", "is_causal=1", 3},
    {"Attention", "R2,2,3,2 R2,1,4,2 R2,1,4,2 B2,1,3,4", "", 1},
    {"Attention", "R2,4,1,2 R2,2,4,2 R2,2,4,2 _ _ _ S=3,4", "", 1},
    {"ScaledDotProduct", "R2,4,3,2 R2,2,6,2 R2,2,6,5 R3,6 I2<3 I2<2 S=5,6", "causal=1 window=3", 1},
    {"ScaledDotProduct", "R2,4,1,2 R2,2,6,2 R2,2,6,2 R2,1,1,6 I2<6", "causal=1", 1},
