
export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[]

export type Database = {
  
  "public": {
          Tables: {
            "clients": {
                  Row: {
                    "city": string | null,"company": string | null,"country": string | null,"created_at": string,"email": string | null,"first_name": string | null,"groups": (string)[],"id": string,"last_name": string | null,"marketing_status": string,"partner_id": string | null,"phone": string | null,"updated_at": string
                  }
                  ComputedFields: never
                  Insert: {
                    "city"?: string | null,"company"?: string | null,"country"?: string | null,"created_at"?: string,"email"?: string | null,"first_name"?: string | null,"groups"?: (string)[],"id"?: string,"last_name"?: string | null,"marketing_status"?: string,"partner_id"?: string | null,"phone"?: string | null,"updated_at"?: string
                  }
                  Update: {
                    "city"?: string | null,"company"?: string | null,"country"?: string | null,"created_at"?: string,"email"?: string | null,"first_name"?: string | null,"groups"?: (string)[],"id"?: string,"last_name"?: string | null,"marketing_status"?: string,"partner_id"?: string | null,"phone"?: string | null,"updated_at"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "clients_partner_id_fkey"
      columns: ["partner_id"]
isOneToOne: false
      referencedRelation: "partners"
      referencedColumns: ["id"]
    }
                  ]
                },"integration_crosswalk": {
                  Row: {
                    "a_id": string,"b_id": string | null,"created_at": string,"id": number,"link_state": string,"pair": string,"updated_at": string
                  }
                  ComputedFields: never
                  Insert: {
                    "a_id": string,"b_id"?: string | null,"created_at"?: string,"id"?: never,"link_state"?: string,"pair": string,"updated_at"?: string
                  }
                  Update: {
                    "a_id"?: string,"b_id"?: string | null,"created_at"?: string,"id"?: never,"link_state"?: string,"pair"?: string,"updated_at"?: string
                  }
                  Relationships: [
                    
                  ]
                },"partners": {
                  Row: {
                    "company": string | null,"created_at": string,"email": string | null,"id": string,"name": string,"updated_at": string
                  }
                  ComputedFields: never
                  Insert: {
                    "company"?: string | null,"created_at"?: string,"email"?: string | null,"id"?: string,"name": string,"updated_at"?: string
                  }
                  Update: {
                    "company"?: string | null,"created_at"?: string,"email"?: string | null,"id"?: string,"name"?: string,"updated_at"?: string
                  }
                  Relationships: [
                    
                  ]
                },"shadow_fingerprints": {
                  Row: {
                    "a_print": number | null,"crosswalk_id": number,"print": number | null,"version": number
                  }
                  ComputedFields: never
                  Insert: {
                    "a_print"?: number | null,"crosswalk_id": number,"print"?: number | null,"version"?: number
                  }
                  Update: {
                    "a_print"?: number | null,"crosswalk_id"?: number,"print"?: number | null,"version"?: number
                  }
                  Relationships: [
                    {
      foreignKeyName: "shadow_fingerprints_crosswalk_id_fkey"
      columns: ["crosswalk_id"]
isOneToOne: true
      referencedRelation: "integration_crosswalk"
      referencedColumns: ["id"]
    }
                  ]
                },"shadow_snapshots": {
                  Row: {
                    "a": NonNullable<Json>,"a_token": string,"agreed": boolean,"b": NonNullable<Json>,"b_token": string,"crosswalk_id": number,"settled": (string)[],"taken_at": string,"version": number
                  }
                  ComputedFields: never
                  Insert: {
                    "a": NonNullable<Json>,"a_token": string,"agreed"?: never,"b": NonNullable<Json>,"b_token": string,"crosswalk_id": number,"settled"?: (string)[],"taken_at"?: string,"version"?: number
                  }
                  Update: {
                    "a"?: NonNullable<Json>,"a_token"?: string,"agreed"?: never,"b"?: NonNullable<Json>,"b_token"?: string,"crosswalk_id"?: number,"settled"?: (string)[],"taken_at"?: string,"version"?: number
                  }
                  Relationships: [
                    {
      foreignKeyName: "shadow_snapshots_crosswalk_id_fkey"
      columns: ["crosswalk_id"]
isOneToOne: true
      referencedRelation: "integration_crosswalk"
      referencedColumns: ["id"]
    }
                  ]
                },"sync_conflicts": {
                  Row: {
                    "a": Json | null,"applied_at": string | null,"b": Json | null,"base": Json | null,"choice": string | null,"created_at": string,"crosswalk_id": number | null,"field": string,"id": number,"pair": string,"reason": string,"record_key": string,"resolved_at": string | null,"resolved_by": string | null,"resolved_value": Json | null,"run_id": string | null,"status": string
                  }
                  ComputedFields: never
                  Insert: {
                    "a"?: Json | null,"applied_at"?: string | null,"b"?: Json | null,"base"?: Json | null,"choice"?: string | null,"created_at"?: string,"crosswalk_id"?: number | null,"field": string,"id"?: never,"pair": string,"reason": string,"record_key": string,"resolved_at"?: string | null,"resolved_by"?: string | null,"resolved_value"?: Json | null,"run_id"?: string | null,"status"?: string
                  }
                  Update: {
                    "a"?: Json | null,"applied_at"?: string | null,"b"?: Json | null,"base"?: Json | null,"choice"?: string | null,"created_at"?: string,"crosswalk_id"?: number | null,"field"?: string,"id"?: never,"pair"?: string,"reason"?: string,"record_key"?: string,"resolved_at"?: string | null,"resolved_by"?: string | null,"resolved_value"?: Json | null,"run_id"?: string | null,"status"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "sync_conflicts_crosswalk_id_fkey"
      columns: ["crosswalk_id"]
isOneToOne: false
      referencedRelation: "integration_crosswalk"
      referencedColumns: ["id"]
    },{
      foreignKeyName: "sync_conflicts_run_id_fkey"
      columns: ["run_id"]
isOneToOne: false
      referencedRelation: "sync_runs"
      referencedColumns: ["id"]
    }
                  ]
                },"sync_failures": {
                  Row: {
                    "a_id": string | null,"a_token": string,"b_id": string | null,"b_token": string,"code": string,"first_failed_at": string,"last_failed_at": string,"last_run_id": string | null,"pair": string,"record_key": string,"runs": number
                  }
                  ComputedFields: never
                  Insert: {
                    "a_id"?: string | null,"a_token": string,"b_id"?: string | null,"b_token": string,"code": string,"first_failed_at"?: string,"last_failed_at"?: string,"last_run_id"?: string | null,"pair": string,"record_key": string,"runs"?: number
                  }
                  Update: {
                    "a_id"?: string | null,"a_token"?: string,"b_id"?: string | null,"b_token"?: string,"code"?: string,"first_failed_at"?: string,"last_failed_at"?: string,"last_run_id"?: string | null,"pair"?: string,"record_key"?: string,"runs"?: number
                  }
                  Relationships: [
                    {
      foreignKeyName: "sync_failures_last_run_id_fkey"
      columns: ["last_run_id"]
isOneToOne: false
      referencedRelation: "sync_runs"
      referencedColumns: ["id"]
    }
                  ]
                },"sync_findings": {
                  Row: {
                    "a_ids": (string)[],"b_ids": (string)[],"fields": (string)[],"found_at": string,"id": number,"kind": string,"run_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "a_ids"?: (string)[],"b_ids"?: (string)[],"fields"?: (string)[],"found_at"?: string,"id"?: never,"kind": string,"run_id": string
                  }
                  Update: {
                    "a_ids"?: (string)[],"b_ids"?: (string)[],"fields"?: (string)[],"found_at"?: string,"id"?: never,"kind"?: string,"run_id"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "sync_findings_run_id_fkey"
      columns: ["run_id"]
isOneToOne: false
      referencedRelation: "sync_runs"
      referencedColumns: ["id"]
    }
                  ]
                },"sync_intents": {
                  Row: {
                    "a_id": string | null,"b_id": string | null,"created_at": string,"crosswalk_id": number | null,"fencing": number,"id": string,"operation": string,"pair": string,"payload": NonNullable<Json>,"run_id": string | null,"sent_at": string | null,"state": string
                  }
                  ComputedFields: never
                  Insert: {
                    "a_id"?: string | null,"b_id"?: string | null,"created_at"?: string,"crosswalk_id"?: number | null,"fencing": number,"id"?: string,"operation": string,"pair": string,"payload": NonNullable<Json>,"run_id"?: string | null,"sent_at"?: string | null,"state"?: string
                  }
                  Update: {
                    "a_id"?: string | null,"b_id"?: string | null,"created_at"?: string,"crosswalk_id"?: number | null,"fencing"?: number,"id"?: string,"operation"?: string,"pair"?: string,"payload"?: NonNullable<Json>,"run_id"?: string | null,"sent_at"?: string | null,"state"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "sync_intents_crosswalk_id_fkey"
      columns: ["crosswalk_id"]
isOneToOne: false
      referencedRelation: "integration_crosswalk"
      referencedColumns: ["id"]
    },{
      foreignKeyName: "sync_intents_run_id_fkey"
      columns: ["run_id"]
isOneToOne: false
      referencedRelation: "sync_runs"
      referencedColumns: ["id"]
    }
                  ]
                },"sync_log": {
                  Row: {
                    "a_id": string | null,"action": string,"after": Json | null,"applied": boolean,"b_id": string | null,"before": Json | null,"created_at": string,"crosswalk_id": number | null,"field": string | null,"id": number,"pair": string,"rule": string,"run_id": string | null,"side": unknown
                  }
                  ComputedFields: never
                  Insert: {
                    "a_id"?: string | null,"action": string,"after"?: Json | null,"applied": boolean,"b_id"?: string | null,"before"?: Json | null,"created_at"?: string,"crosswalk_id"?: number | null,"field"?: string | null,"id"?: never,"pair": string,"rule": string,"run_id"?: string | null,"side": unknown
                  }
                  Update: {
                    "a_id"?: string | null,"action"?: string,"after"?: Json | null,"applied"?: boolean,"b_id"?: string | null,"before"?: Json | null,"created_at"?: string,"crosswalk_id"?: number | null,"field"?: string | null,"id"?: never,"pair"?: string,"rule"?: string,"run_id"?: string | null,"side"?: unknown
                  }
                  Relationships: [
                    {
      foreignKeyName: "sync_log_run_id_fkey"
      columns: ["run_id"]
isOneToOne: false
      referencedRelation: "sync_runs"
      referencedColumns: ["id"]
    }
                  ]
                },"sync_queue": {
                  Row: {
                    "attempts": number,"enqueued_at": string,"id": number,"not_before": string,"pair": string,"reason": string,"record_id": string,"side": unknown,"version": number
                  }
                  ComputedFields: never
                  Insert: {
                    "attempts"?: number,"enqueued_at"?: string,"id"?: never,"not_before"?: string,"pair": string,"reason": string,"record_id": string,"side": unknown,"version"?: number
                  }
                  Update: {
                    "attempts"?: number,"enqueued_at"?: string,"id"?: never,"not_before"?: string,"pair"?: string,"reason"?: string,"record_id"?: string,"side"?: unknown,"version"?: number
                  }
                  Relationships: [
                    
                  ]
                },"sync_runs": {
                  Row: {
                    "counters": NonNullable<Json>,"current_batch": number,"cursor": NonNullable<Json>,"ended_at": string | null,"epoch": number,"error": Json | null,"errors": number,"fencing": number,"function": string,"heartbeat_at": string,"id": string,"lane": string,"last_updated_at": string,"lease_owner": string | null,"pair": string,"params": NonNullable<Json>,"pause_requested": boolean,"phase": string,"requested_by": string,"slices": number,"started_at": string,"status": string,"stop_reason": string | null,"total_batches": number
                  }
                  ComputedFields: never
                  Insert: {
                    "counters"?: NonNullable<Json>,"current_batch"?: number,"cursor"?: NonNullable<Json>,"ended_at"?: string | null,"epoch"?: number,"error"?: Json | null,"errors"?: number,"fencing"?: number,"function": string,"heartbeat_at"?: string,"id"?: string,"lane"?: string,"last_updated_at"?: string,"lease_owner"?: string | null,"pair": string,"params"?: NonNullable<Json>,"pause_requested"?: boolean,"phase"?: string,"requested_by": string,"slices"?: number,"started_at"?: string,"status": string,"stop_reason"?: string | null,"total_batches"?: number
                  }
                  Update: {
                    "counters"?: NonNullable<Json>,"current_batch"?: number,"cursor"?: NonNullable<Json>,"ended_at"?: string | null,"epoch"?: number,"error"?: Json | null,"errors"?: number,"fencing"?: number,"function"?: string,"heartbeat_at"?: string,"id"?: string,"lane"?: string,"last_updated_at"?: string,"lease_owner"?: string | null,"pair"?: string,"params"?: NonNullable<Json>,"pause_requested"?: boolean,"phase"?: string,"requested_by"?: string,"slices"?: number,"started_at"?: string,"status"?: string,"stop_reason"?: string | null,"total_batches"?: number
                  }
                  Relationships: [
                    
                  ]
                },"sync_seen": {
                  Row: {
                    "epoch": number,"ids": (string)[],"page": number,"run_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "epoch": number,"ids": (string)[],"page": number,"run_id": string
                  }
                  Update: {
                    "epoch"?: number,"ids"?: (string)[],"page"?: number,"run_id"?: string
                  }
                  Relationships: [
                    
                  ]
                },"sync_stage": {
                  Row: {
                    "doc": NonNullable<Json>,"epoch": number,"natural_key": string,"partner_id": string | null,"record_id": string,"run_id": string,"seen": number | null,"side": unknown,"state": string,"token": string
                  }
                  ComputedFields: never
                  Insert: {
                    "doc": NonNullable<Json>,"epoch": number,"natural_key": string,"partner_id"?: string | null,"record_id": string,"run_id": string,"seen"?: number | null,"side": unknown,"state"?: string,"token": string
                  }
                  Update: {
                    "doc"?: NonNullable<Json>,"epoch"?: number,"natural_key"?: string,"partner_id"?: string | null,"record_id"?: string,"run_id"?: string,"seen"?: number | null,"side"?: unknown,"state"?: string,"token"?: string
                  }
                  Relationships: [
                    
                  ]
                },"sync_state": {
                  Row: {
                    "key": string,"updated_at": string,"value": NonNullable<Json>
                  }
                  ComputedFields: never
                  Insert: {
                    "key": string,"updated_at"?: string,"value": NonNullable<Json>
                  }
                  Update: {
                    "key"?: string,"updated_at"?: string,"value"?: NonNullable<Json>
                  }
                  Relationships: [
                    
                  ]
                },"sync_suppressions": {
                  Row: {
                    "consent": string,"created_at": string,"key_digest": string,"pair": string,"updated_at": string
                  }
                  ComputedFields: never
                  Insert: {
                    "consent": string,"created_at"?: string,"key_digest": string,"pair": string,"updated_at"?: string
                  }
                  Update: {
                    "consent"?: string,"created_at"?: string,"key_digest"?: string,"pair"?: string,"updated_at"?: string
                  }
                  Relationships: [
                    
                  ]
                },"sync_work": {
                  Row: {
                    "a_id": string | null,"b_id": string | null,"crosswalk_id": number | null,"epoch": number,"kind": string,"ordinal": number,"run_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "a_id"?: string | null,"b_id"?: string | null,"crosswalk_id"?: number | null,"epoch": number,"kind": string,"ordinal": number,"run_id": string
                  }
                  Update: {
                    "a_id"?: string | null,"b_id"?: string | null,"crosswalk_id"?: number | null,"epoch"?: number,"kind"?: string,"ordinal"?: number,"run_id"?: string
                  }
                  Relationships: [
                    
                  ]
                }
          }
          Views: {
            "sync_health": {
                  Row: {
                    "circuit": string | null,"circuit_reason": string | null,"dead_letters": number | null,"function": string | null,"heartbeat_age": string | null,"last_success": string | null,"last_success_age": string | null,"next_due": string | null,"oldest_due_age": string | null,"open_conflicts": number | null,"queue_depth": number | null,"quota_limit": number | null,"quota_used": number | null,"severity": number | null,"unfinished_status": string | null,"verdict": string | null
                  }
                  ComputedFields: never
                  Relationships: [
                    
                  ]
                }
          }
          Functions: {
            "reopen_sync_conflict":
{ Args: { "id": number }; Returns: Json
                           },
"resolve_sync_conflict":
{ Args: { "choice": string,"id": number,"value"?: Json }; Returns: Json
                           },
"sync_breaker_enter":
{ Args: { "p_lease_ms": number,"p_max_cooldown_ms": number,"p_now"?: number,"p_subject": string,"p_window_ms": number }; Returns: {
              "decision": string,"probe": string,"reason": string,"retry_after_ms": number
            }[]
                           },
"sync_breaker_report":
{ Args: { "p_code": string,"p_cooldown_ms": number,"p_lease_ms": number,"p_max_cooldown_ms": number,"p_now"?: number,"p_ok": boolean,"p_probe": string,"p_subject": string,"p_threshold": number,"p_window_ms": number }; Returns: {
              "changed": boolean,"state": string
            }[]
                           },
"sync_breaker_state":
{ Args: { "p_lease_ms": number,"p_max_cooldown_ms": number,"p_now"?: number,"p_subject": string,"p_window_ms": number }; Returns: {
              "asked_at": string,"cooldown_ms": number,"failed_at": (string)[],"next_probe_at": string,"opened_at": string,"probe": string,"reason": string,"state": string
            }[]
                           },
"sync_breaker_write":
{ Args: { "p_cooldown_ms": number,"p_failed_at": (string)[],"p_next_probe_at": string,"p_opened_at": string,"p_probe": string,"p_reason": string,"p_state": string,"p_subject": string }; Returns: undefined
                           },
"sync_quota_reserve":
{ Args: { "p_all": boolean,"p_lease_ms": number,"p_limit": number,"p_name": string,"p_now"?: number,"p_want": number }; Returns: {
              "granted": number,"reservation": string,"reserved": number,"reset_at": string,"retry_after_ms": number,"used": number
            }[]
                           },
"sync_quota_settle":
{ Args: { "p_limit": number,"p_name": string,"p_now"?: number,"p_reservation": string,"p_used": number }; Returns: boolean
                           },
"sync_quota_state":
{ Args: { "p_limit": number,"p_name": string,"p_now"?: number }; Returns: {
              "asked_at": string,"day": string,"lost_at": string,"previous": Json,"reservations": Json,"reserved": number,"reset_at": string,"used": number
            }[]
                           },
"sync_quota_write":
{ Args: { "p_day": string,"p_limit": number,"p_lost_at": string,"p_name": string,"p_previous": Json,"p_reservations": Json,"p_reserved": number,"p_reset_at": string,"p_used": number }; Returns: undefined
                           },
"sync_role":
{ Args: Record<PropertyKey, never>; Returns: string
                           },
"sync_state_lock":
{ Args: { "p_at": string,"p_key": string }; Returns: undefined
                           },
"sync_take_tokens":
{ Args: { "p_bucket": string,"p_budget": number,"p_flight_ms": number,"p_life_ms": number,"p_max_wait_ms": number,"p_now"?: number,"p_remaining"?: number,"p_reports"?: Json,"p_reserve": number,"p_retry_after_ms"?: number,"p_sent_ms"?: number,"p_want": number,"p_window_ms": number }; Returns: {
              "grant_id": number,"offsets": (number)[],"wait_ms": number
            }[]
                           },
"undo_sync_writes":
{ Args: { "p_apply": boolean,"p_id": string,"p_run": string,"p_schema": string,"p_table": string,"p_writes": string }; Returns: {
              "n": number,"outcome": string
            }[]
                           }
          }
          Enums: {
            [_ in never]: never
          }
          CompositeTypes: {
            [_ in never]: never
          }
        }
}

type DatabaseWithoutInternals = Omit<Database, '__InternalSupabase'>

type DefaultSchema = DatabaseWithoutInternals[Extract<keyof Database, "public">]

export type Tables<
  DefaultSchemaTableNameOrOptions extends
    | keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof (DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"] &
        DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"])
    : never = never
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? (DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"] &
      DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"])[TableName] extends {
      Row: infer R
    }
    ? R
    : never
  : DefaultSchemaTableNameOrOptions extends keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
  ? (DefaultSchema["Tables"] & DefaultSchema["Views"])[DefaultSchemaTableNameOrOptions] extends {
      Row: infer R
    }
    ? R
    : never
  : never

export type TablesInsert<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends {
      Insert: infer I
    }
    ? I
    : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
  ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Insert: infer I
    }
    ? I
    : never
  : never

export type TablesUpdate<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends {
      Update: infer U
    }
    ? U
    : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
  ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Update: infer U
    }
    ? U
    : never
  : never

export type Enums<
  DefaultSchemaEnumNameOrOptions extends
    | keyof DefaultSchema["Enums"]
    | { schema: keyof DatabaseWithoutInternals },
  EnumName extends DefaultSchemaEnumNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"]
    : never = never
> = DefaultSchemaEnumNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"][EnumName]
  : DefaultSchemaEnumNameOrOptions extends keyof DefaultSchema["Enums"]
  ? DefaultSchema["Enums"][DefaultSchemaEnumNameOrOptions]
  : never

export type CompositeTypes<
  PublicCompositeTypeNameOrOptions extends
    | keyof DefaultSchema["CompositeTypes"]
    | { schema: keyof DatabaseWithoutInternals },
  CompositeTypeName extends PublicCompositeTypeNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"]
    : never = never
> = PublicCompositeTypeNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"][CompositeTypeName]
  : PublicCompositeTypeNameOrOptions extends keyof DefaultSchema["CompositeTypes"]
  ? DefaultSchema["CompositeTypes"][PublicCompositeTypeNameOrOptions]
  : never

export const Constants = {
  "public": {
          Enums: {
            
          }
        }
} as const
