// Go's half of ./dev bench peers: the workloads of bench_peers.c, with the same sizes and counts.
//
//	peers WORKLOAD COUNT        a JSON line, as bench_peers.c prints it
//
// A process is a goroutine with a channel; streams use buffered channels, as Go programs do. Goroutines have no monitors: whoever
// waits for one gets a message at its end.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	ringSize = 503
	senders  = 16
	batch    = 1000
	fanOut   = 100
	buffer   = 1024
)

type token struct {
	from  chan token
	value int64
}

type request struct {
	reply chan int64
	by    int64
}

func pingPong(count int64) {
	to, back := make(chan token), make(chan token)
	go func() {
		for i := int64(0); i < count; i++ {
			got := <-to
			got.from <- token{to, got.value}
		}
	}()
	for i := int64(0); i < count; i++ {
		to <- token{back, i}
		<-back
	}
}

func ring(count int64) {
	done := make(chan bool)
	first := make(chan token, 1)
	in := first
	for i := 0; i < ringSize; i++ {
		out := make(chan token, 1)
		if i == ringSize-1 {
			out = first
		}
		go func(in, out chan token) {
			for {
				got := <-in
				if got.value <= 0 {
					if got.value == 0 {
						done <- true
						out <- token{nil, -1}
					} else {
						select {
						case out <- token{nil, -1}:
						default:
						}
					}
					return
				}
				out <- token{nil, got.value - 1}
			}
		}(in, out)
		in = out
	}
	first <- token{nil, count}
	<-done
}

func stream(from, count int64) {
	to, done := make(chan token, buffer), make(chan bool)
	each := count / from
	go func() {
		for i := int64(0); i < each*from; i++ {
			<-to
		}
		done <- true
	}()
	for s := int64(0); s < from; s++ {
		go func() {
			for i := int64(0); i < each; i++ {
				to <- token{nil, i}
			}
		}()
	}
	<-done
}

func adder() chan request {
	in := make(chan request)
	go func() {
		state := [4]int64{}
		for r := range in {
			state[0] += r.by
			r.reply <- state[0]
		}
	}()
	return in
}

func calls(callers, count int64) {
	server, done := adder(), make(chan bool)
	for c := int64(0); c < callers; c++ {
		go func() {
			reply := make(chan int64, 1)
			for i := int64(0); i < count/callers; i++ {
				server <- request{reply, 1}
				<-reply
			}
			done <- true
		}()
	}
	for c := int64(0); c < callers; c++ {
		<-done
	}
	close(server)
}

func spawn(count int64) {
	for i := int64(0); i < count; i++ {
		down := make(chan bool, 1)
		go func() { down <- true }()
		<-down
	}
}

func fan(count int64) {
	in := make(chan token, buffer)
	for i := int64(0); i < count; i += fanOut {
		for k := 0; k < fanOut; k++ {
			go func() { in <- token{nil, 1}; in <- token{nil, 0} }()
		}
		for k := 0; k < 2*fanOut; k++ {
			<-in
		}
	}
}

func timers(count int64) {
	in := make(chan token, buffer)
	set := make([]*time.Timer, batch)
	for i := int64(0); i < count; i += batch {
		for k := range set {
			set[k] = time.AfterFunc(time.Duration(60000+k)*time.Millisecond, func() { in <- token{nil, 0} })
		}
		for _, timer := range set {
			if !timer.Stop() {
				panic("it fired")
			}
		}
	}
}

func statem(count int64) {
	in := make(chan request, buffer)
	go func() {
		on, switched := false, int64(0)
		for r := range in {
			if r.reply != nil {
				r.reply <- switched
			} else {
				on = !on
				switched++
			}
		}
	}()
	reply, sum := make(chan int64, 1), int64(0)
	for i := int64(0); i < count; i += batch {
		for k := 0; k < batch; k++ {
			in <- request{nil, 1}
		}
		in <- request{reply, 0}
		sum = <-reply
	}
	if sum < count {
		panic("events were lost")
	}
	close(in)
}

func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

func idle(count int64) {
	servers := make([]chan request, 0, count)
	reply := make(chan int64, 1)
	runtime.GC()
	before := resident()
	for i := int64(0); i < count; i++ {
		server := adder()
		server <- request{reply, 1}
		<-reply
		servers = append(servers, server)
	}
	fmt.Printf("{\"bytes\": %.1f}\n", float64(resident()-before)/float64(len(servers)))
}

func cpu() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}

func main() {
	workloads := map[string]func(int64){
		"ping_pong": pingPong, "ring": ring, "spawn": spawn, "timers": timers, "statem": statem, "fan_out": fan,
		"stream":  func(n int64) { stream(1, n) },
		"fan_in":  func(n int64) { stream(senders, n) },
		"call_1":  func(n int64) { calls(1, n) },
		"call_16": func(n int64) { calls(senders, n) },
	}
	count, _ := strconv.ParseInt(os.Args[2], 10, 64)
	if os.Args[1] == "idle" {
		idle(count)
		return
	}
	run := workloads[os.Args[1]]
	run(count / 10)
	begin, used := time.Now(), cpu()
	run(count)
	fmt.Printf("{\"ops\": %d, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n", count, time.Since(begin).Seconds(), cpu()-used)
}
