// Grover's search for 1011 among 16, three rounds: found with probability 0.96.
OPENQASM 2.0;
include "qelib1.inc";
gate cccz a,b,c,d { h d; c3x a,b,c,d; h d; }
// Marks 1011 (the highest bit first) by a change of sign.
gate oracle a,b,c,d { x c; cccz a,b,c,d; x c; }
gate diffuse a,b,c,d {
  h a; h b; h c; h d; x a; x b; x c; x d;
  cccz a,b,c,d;
  x a; x b; x c; x d; h a; h b; h c; h d;
}
qreg q[4];
creg c[4];
h q;
oracle q[0],q[1],q[2],q[3];
diffuse q[0],q[1],q[2],q[3];
oracle q[0],q[1],q[2],q[3];
diffuse q[0],q[1],q[2],q[3];
oracle q[0],q[1],q[2],q[3];
diffuse q[0],q[1],q[2],q[3];
measure q -> c;
