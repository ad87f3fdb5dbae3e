package resume

// mutant is a mistake that tests put into the core, to see that they find it.
// Outside tests it is 0: none.
type mutant uint8

const (
	_                         mutant = iota
	mutantNoAttachSeq                // a delayed attach steals the session
	mutantNoEpochCheck               // frames of an old attachment count
	mutantAttachmentsBuffer          // received bytes go with the attachment
	mutantNotRewound                 // an attach goes on where the last one stopped
	mutantFreedOnSend                // received bytes are freed when sent
	mutantOldestDropped              // a full ring makes room
	mutantNoDedupe                   // bytes that come again are taken again
	mutantDeletedAtPeersEnd          // the session ends with its peer
	mutantGenerationUnchecked        // frames of another generation count
	mutantReceivingStopped           // no send_limit: a full ring stops the receiver
	mutantLateDetach                 // an old stream's end detaches the live one
	mutantEventFreedOnSend           // events are not kept for a replay
	mutantEventsFirst                // the end overtakes the bytes before it
	mutantProgressWithheld           // no deadline for what is told sparsely
	mutants                          // their count, and one
)
